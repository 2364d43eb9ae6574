"""L: exports that disagree on what came before what."""

from collections.abc import Callable, Sequence

from encord_dagster.outcomes import ExportOutcome
from tests import factories as make
from tests.factories import Json
from tests.hostile.case import Case, Delivery, accepted, edited, one
from tests.lakes import Desk
from tests.published import coco_of

EARLY, LATE, LAST = "2024-01-01 10:00:00", "2024-01-02 10:00:00", "2024-01-03 10:00:00"


def row(export_hash: str, time: str, *objects: Json, past: Sequence[str] = (), **changes: object) -> Json:
    """One label row as an export carried it; `past` are the hashes of its history."""
    found = [{"export_hash": key, "exported_at": EARLY} for key in past]
    made = make.image_row(*objects, export_hash=export_hash, exported_at=time)
    return edited(made, export_history=found, **changes)


def holds(count: int) -> Callable[[Desk, Sequence[ExportOutcome]], list[str]]:
    """A judge: the version's image data-0 has so many annotations."""

    def then(desk: Desk, outcomes: Sequence[ExportOutcome]) -> list[str]:
        document = coco_of(desk)
        found = [item for item in document["annotations"] if item["encord"]["data_hash"] == "data-0"]
        images = [item for item in document["images"] if item["encord"]["data_hash"] == "data-0"]
        if (len(found), len(images)) == (count, 1):
            return []
        return [f"data-0 has {len(found)} annotations on {len(images)} images, expected {count} on one"]

    return then


ONE, TWO = make.box(), make.point()
THREE = make.box(0.1, object_hash="object03")


def conflict() -> list[Delivery]:
    """One export hash at one time with two contents: told of, and the same one wins in any order."""
    first = make.encode([row("hash-1", EARLY, ONE)])
    other = make.encode([row("hash-1", EARLY, ONE, TWO, past=("hash-0",))])
    return [
        *one(first, accepted(1)),
        *one(other, accepted(2, "export_hash_conflict"), batch=1),
    ]


def truncated() -> list[Delivery]:
    """A later export whose history forgot the earlier one: later by its own time, so it is taken."""
    first = make.encode([row("hash-2", EARLY, ONE, past=("hash-1", "hash-0"))])
    later = make.encode([row("hash-3", LATE, ONE, TWO)])
    return [*one(first, accepted(1)), *one(later, accepted(2), batch=1)]


def unseen() -> list[Delivery]:
    """An ancestor that never arrived is allowed, and kept in the history."""
    return one(make.encode([row("hash-9", LATE, ONE, TWO, past=("hash-8", "hash-7"))]), accepted(2))


def fork() -> list[Delivery]:
    """Two exports that know a common ancestor and not each other, later one first: the later one stays."""
    root = make.encode([row("hash-1", EARLY, ONE)])
    left = make.encode([row("hash-2", LATE, ONE, TWO, past=("hash-1",))])
    right = make.encode([row("hash-3", LAST, ONE, TWO, THREE, past=("hash-1",))])
    return [
        *one(root, accepted(1)),
        *one(right, accepted(3), batch=1),
        *one(left, accepted(2, status="observed"), batch=2),
    ]


def moved() -> list[Delivery]:
    """A label row that says later that it is of another dataset: the row is one, with its later content."""
    first = make.encode([row("hash-1", EARLY, ONE, dataset_hash="dataset-1")])
    later = make.encode([row("hash-2", LATE, ONE, TWO, dataset_hash="dataset-2", past=("hash-1",))])
    return [*one(first, accepted(1)), *one(later, accepted(2, "new_dataset"), batch=1)]


def same_data() -> list[Delivery]:
    """One image in two label rows, in two exports of one batch: one image record with the labels of both."""
    first = make.encode([row("hash-1", EARLY, ONE)])
    other = make.encode([row("hash-2", LATE, TWO, THREE, label_hash="other-row")])
    return [*one(first, accepted(1)), *one(other, accepted(2))]


def history_is_kept(desk: Desk, outcomes: Sequence[ExportOutcome]) -> list[str]:
    """A complaint where the ancestors that never arrived are not in the row events."""
    events = desk.label_set().version().table("row_events").to_pylist()
    known = {entry["export_hash"] for event in events for entry in event["history"] or ()}
    return [] if {"hash-7", "hash-8"} <= known else [f"the history holds {sorted(known)}"]


CASES = (
    Case(id="L01", name="one export hash with two contents", make=conflict, together=True, then=holds(2)),
    Case(id="L02", name="history cut off later", make=truncated, together=True, then=holds(2)),
    Case(id="L03", name="ancestor never seen", make=unseen, then=history_is_kept),
    Case(id="L04", name="fork", make=fork, together=True, then=holds(3)),
    Case(id="L05", name="unit moved between datasets", make=moved, together=True, then=holds(2)),
    Case(id="L06", name="one data unit in two exports of a batch", make=same_data, together=True, then=holds(3)),
)
