"""`selection.json`: what was chosen at a checkout, and what became of everything that was read."""

from collections.abc import Iterable

import msgspec

from encord_dagster.formats.selection import Counted, InSplit, Selecting, Selection

FILE = "selection.json"


class ClassLine(msgspec.Struct, frozen=True, omit_defaults=True, rename={"made_of": "from"}):
    """A class, and its objects."""

    id: int
    name: str
    made_of: list[str]  # names of classes of the version
    annotations: int
    splits: dict[str, int] = {}  # objects by split
    off: dict[str, float] = {}  # how far the part of its objects that a split holds is from the split's share


class Report(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """The file. A conversion that needed no lake has no version."""

    version: int | None = None
    content_digest: str | None = None
    selection: Selection
    classes: list[ClassLine]
    read: Counted
    removed: dict[str, Counted]  # by filter; together with what was written this is what was read
    written: Counted
    splits: dict[str, InSplit] = {}

    def encoded(self) -> bytes:
        """The bytes of the file."""
        return msgspec.json.format(msgspec.json.encode(self)) + b"\n"


def report(selecting: Selecting, *, version: int | None = None, content_digest: str | None = None) -> Report:
    """What was chosen, and what became of everything that was read."""
    return Report(
        version=version,
        content_digest=content_digest,
        selection=selecting.selection,
        classes=list(_classes(selecting)),
        read=selecting.read,
        removed=dict(sorted(selecting.removed.items())),
        written=selecting.written,
        splits=selecting.in_splits,
    )


def _classes(selecting: Selecting) -> Iterable[ClassLine]:
    shares = selecting.selection.splits
    for one in selecting.map.categories:
        counts = {split: held[one.id] for split, held in selecting.classes.items()}
        total = sum(counts.values())
        off = {split: round(counts[split] / total - share, 4) for split, share in shares.items()} if total else {}
        yield ClassLine(one.id, one.name, selecting.map.sources[one.id], total, counts if shares else {}, off)
