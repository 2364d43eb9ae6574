"""What a case is: deliveries made in code, and what must become of each."""

import copy
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Literal

import msgspec

from encord_dagster.config import LabelSetConfig
from encord_dagster.outcomes import ExportOutcome
from tests import factories as make
from tests.factories import Json
from tests.lakes import Desk

NEIGHBOUR = "neighbour-row"


class Expected(msgspec.Struct, frozen=True, kw_only=True):
    """What must become of one delivery; counts are exact, so that no object can be lost unseen."""

    status: Literal["published", "observed", "quarantined"] = "published"
    refused: frozenset[str] = frozenset()  # why the whole file is quarantined: one of these
    rows: tuple[str, ...] = ()  # why each quarantined row is
    objects: tuple[str, ...] = ()  # why each quarantined object is
    published: int = 0  # objects
    excluded: Mapping[str, int] = {}  # objects, by reason
    findings: frozenset[str] = frozenset()  # rules that must fire besides


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """One export. `batch` counts the runs of the case; `sparse` is the size of a file of zeros instead of `data`."""

    data: bytes = b""
    expected: Expected
    batch: int = 0
    sparse: int = 0
    seen: tuple[str, ...] = ()  # texts that must stand in the COCO file


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """One named bad input; some need several deliveries to say it in every way."""

    id: str
    name: str
    make: Callable[[], Sequence[Delivery]]
    together: bool = False  # all deliveries go into one label set; else each into its own
    heavy: bool = False  # runs in a process of its own
    slow: bool = False  # takes more than a few seconds
    absent: tuple[str, ...] = ()  # texts that may stand nowhere but in raw/
    then: Callable[[Desk, Sequence[ExportOutcome]], list[str]] | None = None  # further complaints
    config: LabelSetConfig = LabelSetConfig(name="street")

    @property
    def title(self) -> str:
        """The name of the case for people."""
        return f"{self.id} {self.name}"


def accepted(published: int, *findings: str, **more: object) -> Expected:
    """A legal export: all that it holds is published, with these findings where it was normalised."""
    return msgspec.convert({"published": published, "findings": list(findings), **more}, Expected)


def refused(*reasons: str) -> Expected:
    """The whole file is quarantined for one of these reasons."""
    return Expected(status="quarantined", refused=frozenset(reasons))


def row_quarantined(reason: str, *findings: str, published: int = 1) -> Expected:
    """One row is quarantined; its neighbour, of one object, is published."""
    return Expected(rows=(reason,), published=published, findings=frozenset(findings))


def object_quarantined(*reasons: str, published: int = 2, findings: Sequence[str] = ()) -> Expected:
    """Objects are quarantined; a good one beside them and one in the neighbouring row are published."""
    return Expected(objects=reasons, published=published, findings=frozenset(findings))


def one(data: bytes, expected: Expected, *, batch: int = 0) -> list[Delivery]:
    """A case of one delivery."""
    return [Delivery(data=data, expected=expected, batch=batch)]


def neighbour() -> Json:
    """A good row with one box, to lie beside a bad one in the same export."""
    unit = make.unit("neighbour-0", "image/jpeg", make.labels(make.box()))
    return make.row("image", [unit], label_hash=NEIGHBOUR)


def beside(*rows: object) -> bytes:
    """An export of these rows and their good neighbour."""
    return make.encode([*rows, neighbour()])


def image(*objects: Json, classifications: list[Json] | None = None, **changes: object) -> Json:
    """An image row with a good point beside the objects."""
    return make.image_row(*objects, make.point(object_hash="good0001"), classifications=classifications) | changes


def objects(*bad: Json) -> bytes:
    """An export whose first row holds these objects and a good one, beside a good row."""
    return beside(image(*bad))


def spliced(document: object, place: str, text: str | bytes) -> bytes:
    """The JSON of a document in which the string `place` is replaced by `text` as it is, valid or not."""
    mark = json.dumps(place).encode()
    data = make.encode(document)
    if data.count(mark) != 1:
        raise ValueError(f"{place!r} is {data.count(mark)} times in the document")
    return data.replace(mark, text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass"))


def edited(row: Json, **changes: object) -> Json:
    """A deep copy of a row with other values; ... removes a key."""
    copied = copy.deepcopy(row)
    for key, value in changes.items():
        if value is ...:
            copied.pop(key, None)
        else:
            copied[key] = value
    return copied
