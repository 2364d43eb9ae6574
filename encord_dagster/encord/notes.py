"""What the reading of one row has brought up so far: findings, objects left out, objects counted."""

import functools

import msgspec

from encord_dagster.encord import codes
from encord_dagster.encord.codes import Code
from encord_dagster.encord.model import Excluded, Quarantined
from encord_dagster.encord.privacy import LONGEST, Disclosure, redact
from encord_dagster.encord.scalars import Scalar
from encord_dagster.errors import RowError
from encord_dagster.findings import Finding, Location

_QUOTED = 60  # characters of the export quoted in one message


class BadObject(Exception):
    """One object cannot be converted. Caught where objects are counted; never leaves the reader."""

    def __init__(self, code: Code, message: str) -> None:
        super().__init__(code, message)
        self.code = code
        self.message = message


class Notes:
    """The collecting list of one row: everything not converted is written down here, once."""

    def __init__(
        self,
        row: str | None,
        *,
        keep_going: bool = True,
        relations: frozenset[str] = frozenset(),
        disclosure: Disclosure = Disclosure(),  # noqa: B008 - frozen
    ) -> None:
        self.row = row
        self.disclosure = disclosure  # what may leave the reader beyond labels
        self.relations = relations  # feature hashes of attributes that are relations, as an ontology says
        self._keep_going = keep_going
        self.space: str | None = None  # of a data group, while it is read
        self.objects_in = 0
        self.findings: list[Finding] = []
        self.excluded: list[Excluded] = []
        self.quarantined: list[Quarantined] = []
        self._redacted: set[str] = set()
        self._said: set[str] = set()

    def at(self, unit: str | None = None, frame: int | None = None, object: str | None = None) -> Location:
        """A place in this row, and in the space that is being read."""
        return Location(row=self.row, unit=unit, frame=frame, object=object, space=self.space)

    def add(self, code: Code, message: str, where: Location | None = None) -> None:
        """Write down a finding."""
        self.findings.append(codes.finding(code, where or self.at(), message))

    def add_once(self, code: Code, message: str) -> None:
        """Write down a finding about the row that more than one of its places can bring up."""
        if code.name not in self._said:
            self._said.add(code.name)
            self.add(code, message)

    def exclude(self, reason: str, where: Location, *, feature_hash: str | None, shape: str | None) -> None:
        """Write down an object left out on purpose."""
        self.excluded.append(Excluded(reason, where, feature_hash, shape))

    def quarantine(self, problem: BadObject, where: Location) -> None:
        """Write down an object that cannot be converted; RowError where one such stops the whole row."""
        if not self._keep_going:
            raise RowError(problem.code.name, f"{problem.message} ({where})")
        found = codes.finding(problem.code, where, problem.message)
        self.findings.append(found)
        self.quarantined.append(Quarantined(where, (found,)))

    def clean(self, value: Scalar, what: str, where: Location, *, lines: bool = False) -> str:
        """`value` as a text that may leave the reader; what is no text is empty. `what` names it in a finding.

        The words for absent are texts here: an option may be called "None". With `lines` it keeps its line breaks;
        without, it becomes one line.
        """
        original = (value if isinstance(value, str) else "").replace("\r\n", "\n")
        cleaned = "\n".join(map(_redact, original.split("\n")))[:LONGEST] if lines else _redact(original)
        if cleaned != original and original not in self._redacted:
            self._redacted.add(original)
            self.add(
                codes.PERSONAL_DATA_REMOVED,
                f"{what} held an address, link, key or unseen characters, or was too long: removed",
                where,
            )
        return cleaned


def quote(value: Scalar) -> str:
    """A value of the export as a message may show it: redacted and short."""
    shown = redact(str(value)[: 4 * _QUOTED])
    return repr(shown if len(shown) <= _QUOTED else shown[:_QUOTED] + "...")


def shown(value: Scalar) -> str:
    """A value in place of a hash, number or time, as a message may show it: a text may name a person."""
    return f"(a text of {len(value)} characters)" if isinstance(value, str) else repr(value)[:_QUOTED]


def problem(error: Exception) -> str:
    """What msgspec says of a value that it cannot decode: types and a path without keys of the export."""
    if isinstance(error, msgspec.ValidationError):
        return str(error)
    return "nested too deep" if isinstance(error, RecursionError) else "not valid UTF-8 JSON"


def row_error(code: Code, message: str) -> RowError:
    """The error that quarantines the row."""
    return RowError(code.name, message)


@functools.lru_cache(maxsize=4096)
def _redact(value: str) -> str:
    return redact(value)
