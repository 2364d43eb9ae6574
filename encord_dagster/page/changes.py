"""The part of the page that tells one version from another."""

from collections.abc import Iterable, Mapping, Sequence

from encord_dagster.formats.chart import ClassBar
from encord_dagster.label_set.diff import Diff, ObjectCounts, RowChange
from encord_dagster.page.markup import (
    REST,
    Html,
    bar,
    chip,
    code,
    element,
    ink_of,
    joined,
    none,
    number,
    section,
    table,
    text,
)
from encord_dagster.page.pictures import Picture, legend, samples_of
from encord_dagster.page.sections import CLASSES

KINDS = ("added", "removed", "changed", "geometry", "attributes", "reclassified", "other")


def changes(found: Diff, bars: Sequence[ClassBar], pictures: Sequence[Picture], names: Mapping[int, str]) -> Html:
    """Totals, classes, rows and pictures of two versions."""
    if not any(found.rows.values()) and not found.categories:
        return section(_title(found), none("differences"))
    return section(
        _title(found),
        _configuration(found),
        _totals(found),
        element("h3", text("Objects by class, before and after")),
        _classes(bars),
        element("h3", text("Objects that are not the same")),
        _objects(found),
        element("h3", text("Label rows that are not the same")),
        _rows(found),
        *_pictures(pictures, names),
    )


def _title(found: Diff) -> str:
    return f"From version {found.before} to version {found.after}"


def _configuration(found: Diff) -> Html:
    words = "The two were made with different configurations." if found.configuration_changed else ""
    return element("p", text(words)) if words else Html("")


def _totals(found: Diff) -> Html:
    totals = {name.replace("_", " "): sides for name, sides in found.totals.items() if any(sides)}
    sides = [*totals.items(), *((f"loss {code}", sides) for code, sides in found.losses.items())]
    rows = [[text(name), number(was), number(now), _step(now - was)] for name, (was, now) in sides]
    counts = ", ".join(f"{count:,} {fate}" for fate, count in found.rows.items() if count)
    return joined(
        [element("p", text(f"Label rows: {counts or 'none differ'}.")), table(["", "before#", "after#", "#"], rows)]
    )


def _step(count: int) -> Html:
    return Html(f"{count:+,}") if count else Html("")


def _classes(bars: Sequence[ClassBar]) -> Html:
    longest = max((max(one.now, one.before) for one in bars), default=0)
    rows = [
        [
            joined([chip(one.category_id), text(one.name)]),
            bar(one.now, longest, ink=ink_of(one.category_id), was=one.before),
            number(one.before),
            number(one.now),
            _step(one.now - one.before),
        ]
        for one in bars
    ]
    return table(["class", "grey: before|", "before#", "after#", "#"], rows, most=CLASSES, rest=REST)


def _objects(found: Diff) -> Html:
    rows = [[text(one.name or one.feature_hash), *_counts(one.objects)] for one in found.classes]
    return table(["class", *(f"{kind}#" for kind in KINDS)], rows, most=CLASSES) if rows else none()


def _counts(counts: ObjectCounts) -> Iterable[Html]:
    values = [getattr(counts, kind) for kind in KINDS]
    return [number(value) if value else Html("") for value in values]


def _rows(found: Diff) -> Html:
    more = sum(found.rows.values()) - len(found.listed)
    rest = f"{more:,} more: diff {found.before} {found.after}" if more > 0 else ""
    columns = ["label row", "what", "added#", "removed#", "changed#", "by export"]
    return joined(
        [
            table(columns, map(_row, found.listed)) if found.listed else none("rows"),
            element("p", text(rest), kind="faint"),
        ]
    )


def _row(one: RowChange) -> list[Html]:
    fate = f"{one.fate}, its data was deleted" if one.gone else one.fate
    counts = (one.objects.added, one.objects.removed, one.objects.changed)
    return [code(one.label_hash), text(fate), *map(number, counts), code(one.export_id or "")]


def _pictures(pictures: Sequence[Picture], names: Mapping[int, str]) -> list[Html]:
    if not pictures:
        return []
    return [
        element("h3", text("Images whose labels changed: before, after")),
        legend(pictures, names),
        samples_of(pictures),
    ]
