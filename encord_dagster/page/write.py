"""The page of a version: what is read for it, and what is drawn."""

from encord_dagster.errors import UsageError
from encord_dagster.formats.thumbnail import Scene, strip
from encord_dagster.label_set import scenes
from encord_dagster.label_set.beside import class_bars
from encord_dagster.label_set.diff import diff
from encord_dagster.label_set.made_by import maker
from encord_dagster.label_set.numbers import Summary
from encord_dagster.label_set.read import LabelSet, Version
from encord_dagster.label_set.scenes import Seen
from encord_dagster.page import pictures, sections, sizes
from encord_dagster.page.changes import changes
from encord_dagster.page.markup import Html, document
from encord_dagster.page.pictures import Picture
from encord_dagster.page.sections import Came

SAMPLES, PAIRS = 6, 4
HIGH, WIDE = 260, 340  # pixels of a sample
EXPORTS, LISTED = 20, 20  # shown: exports, rows that changed


def page(label_set: LabelSet, which: int | str = "latest", against: int | str | None = None) -> tuple[str, Summary]:
    """The page of a version, beside another one where that is asked for, and the numbers in it.

    The same version of the same log gives the same text: nothing in it is of the day on which it was asked for.
    """
    version = label_set.version(which)
    found = version.summary()
    names = {one.category_id: one.name for one in found.classes}
    drawn = [_picture(seen) for seen in scenes.samples(version, SAMPLES)]
    parts = [
        sections.head(found, _came(label_set, version)),
        sections.classes(found.classes),
        pictures.samples(drawn, names),
        *([] if against is None else [_changes(label_set, version, against, names)]),
        sizes.sizes(found.classes),
        sizes.images(found.images),
        sections.answers(found),
        sections.findings(found),
        sections.losses_of(found.losses),
    ]
    return document(f"{found.name}, version {found.version}", parts), found


def _came(label_set: LabelSet, version: Version) -> Came:
    made = maker(label_set, version.number).record
    if made is None:
        raise UsageError(f"the record of version {version.number} is gone; run `verify`")
    return Came(
        manifest_digest=version.root_digest,
        seq=made.seq,
        op=made.op,
        reason=made.reason,
        exports=made.exports[:EXPORTS],
        count=len(made.exports),
    )


def _changes(label_set: LabelSet, version: Version, against: int | str, names: dict[int, str]) -> Html:
    other = label_set.version(against)
    found = diff(label_set, other.number, version.number, listed=LISTED)
    bars = tuple(class_bars(other.root, version.root))
    drawn = [_pair(*pair) for pair in scenes.pairs(label_set, other, version, PAIRS)]
    return changes(found, bars, drawn, {one.category_id: one.name for one in bars} | names)


def _picture(seen: Seen) -> Picture:
    return Picture(
        png=_drawn(seen.scene), label_hash=seen.label_hash, file_name=seen.file_name, classes=_classes(seen.scene)
    )


def _pair(before: Seen, after: Seen) -> Picture:
    return Picture(
        png=_drawn(after.scene),
        before=_drawn(before.scene),
        label_hash=after.label_hash,
        file_name=after.file_name,
        classes=tuple(sorted({*_classes(before.scene), *_classes(after.scene)})),
    )


def _drawn(scene: Scene) -> bytes:
    return strip([scene], high=HIGH, wide=WIDE)


def _classes(scene: Scene) -> tuple[int, ...]:
    return tuple(sorted({shape.category_id for shape in scene.shapes}))
