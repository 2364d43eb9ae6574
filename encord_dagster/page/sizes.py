"""How large objects and images are, and what is known of the images besides."""

from collections.abc import Iterable, Sequence

from encord_dagster.label_set.numbers import ClassSummary, ImageSummary
from encord_dagster.label_set.spread import Spread
from encord_dagster.page.markup import (
    REST,
    Html,
    bar,
    chip,
    element,
    given,
    histogram,
    ink_of,
    joined,
    none,
    number,
    section,
    table,
    text,
)

SIZED, IMAGES = 40, 15  # shown: classes with histograms, sizes of images


def sizes(found: Sequence[ClassSummary]) -> Html:
    """Width, height and area of the objects of each class; the bins of a column are the same for all classes."""
    held = [one for one in found if one.objects]
    lengths = _reach([spread.bins for one in held for spread in (one.width, one.height) if spread.most])
    areas = _reach([_by_two(one.area.bins) for one in held if one.area.most])
    rows = [
        [
            joined([chip(one.category_id), text(one.name)]),
            _spread_cell(one.width, one.width.bins, lengths, 2, one),
            _spread_cell(one.height, one.height.bins, lengths, 2, one),
            _spread_cell(one.area, _by_two(one.area.bins), areas, 4, one),
            *(number(count) if one.area.most else Html("") for count in (one.small, one.medium, one.large)),
        ]
        for one in held
    ]
    bars = text(
        "Pixels; a bar spans twice the one before it, of an area four times. Below: least, mean, most.", most=200
    )
    lines = text("Small, medium and large as in COCO: below 32 x 32 and 96 x 96 pixels of area.")
    words = element("p", bars, Html(" "), lines, kind="faint")
    columns = ["class", "width|", "height|", "area|", "small#", "medium#", "large#"]
    return section("Sizes of objects", words, table(columns, rows, most=SIZED, rest=REST) if rows else none())


def _spread_cell(spread: Spread, bins: Sequence[int], reach: range, factor: int, of: ClassSummary) -> Html:
    if not spread.most:
        return element("span", text("none"), kind="faint")
    counts = [bins[place] if place < len(bins) else 0 for place in reach]
    labels = [_bin_text(place, factor) for place in reach]
    unit = "px²" if factor == 4 else "px"
    drawn = histogram(counts, labels, ink=ink_of(of.category_id), unit=unit)
    return joined([drawn, element("span", text(three(spread)), kind="faint")])


def three(spread: Spread) -> str:
    """Least, mean, most."""
    return f"{number(spread.least)} · {number(spread.mean)} · {number(spread.most)}"


def _bin_text(place: int, factor: int) -> str:
    return "<1" if place == 0 else f"{factor ** (place - 1):,}–{factor**place:,}"


def _by_two(bins: Sequence[int]) -> list[int]:
    """Bins of areas, two as one: then each spans as much of a side as one of a length."""
    return [*bins[:1], *(sum(bins[place : place + 2]) for place in range(1, len(bins), 2))]


def _reach(many: Iterable[Sequence[int]]) -> range:
    """From the first bin to the last that count anything."""
    used = {place for bins in many for place, count in enumerate(bins) if count}
    return range(min(used), max(used) + 1) if used else range(1)


def images(found: ImageSummary) -> Html:
    """Sizes, objects on an image, types, statuses and workflow stages."""
    longest = max((one.images for one in found.sizes), default=0)
    rows = [[text(f"{one.width} x {one.height}"), bar(one.images, longest), number(one.images)] for one in found.sizes]
    reach = _reach([found.objects.bins])
    counts = [found.objects.bins[place] if place < len(found.objects.bins) else 0 for place in reach]
    return section(
        "Images",
        table(["width x height", "|", "images#"], rows, most=IMAGES, rest=" sizes" + REST) if rows else none(),
        element("h3", text("Objects on an image")),
        histogram(counts, [_whole_text(place) for place in reach], unit="objects"),
        element("p", text(three(found.objects)), kind="faint"),
        element("h3", text("Types and statuses")),
        table(["", "value", "images#", "label rows#"], _statuses(found)),
    )


def _statuses(found: ImageSummary) -> list[list[Html]]:
    of_rows = {
        "label status": found.label_statuses,
        "task status": found.task_statuses,
        "workflow stage": found.workflow_nodes,
    }
    types = [[text("data type"), given(name), number(count), Html("")] for name, count in found.data_types.items()]
    return types + [
        [text(what), given(name), number(count), number(rows)]
        for what, held in of_rows.items()
        for name, (count, rows) in held.items()
    ]


def _whole_text(place: int) -> str:
    """A bin of whole numbers."""
    least, most = (0, 0) if place == 0 else (2 ** (place - 1), 2**place - 1)
    return f"{least:,}" if least == most else f"{least:,}–{most:,}"
