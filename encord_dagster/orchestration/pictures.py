"""Chart and previews of a version, within what a database can hold of them for ever."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from dagster import MetadataValue

from encord_dagster.orchestration import markdown
from encord_dagster.orchestration.readable import Metadata

if TYPE_CHECKING:
    from encord_dagster.formats.thumbnail import Scene
    from encord_dagster.label_set.beside import Beside

MOST_BYTES = 4096  # of Markdown: an export and the newest version have as much each, and SQLite keeps two copies
AT_ONCE = 990  # letters of Markdown that Dagster's page shows without a click
BARS = (6, 4)  # classes in the chart; the class table has more
FIRST = ((96, 160), (80, 128), (64, 96), (48, 72))  # pixels high and wide
OTHERS = ((110, 150), (80, 110), (56, 76))


def preview(found: "Beside") -> Metadata:
    """The labels of one image that changed, seen at once; behind a click a chart of the classes, and more labels."""
    first = _fitting(_labels(found.scenes[:1], FIRST), AT_ONCE)
    charts = (markdown.picture(_chart(found, bars), "objects by class") for bars in BARS if found.classes)
    more = _fitting(charts, MOST_BYTES - _size(first))
    more += _fitting(_labels(found.scenes[1:], OTHERS), MOST_BYTES - _size(first) - _size(more))
    shown = {"encord/labels": first, "encord/preview": more}
    return {name: MetadataValue.md("\n\n".join(parts)) for name, parts in shown.items() if parts}


def _chart(found: "Beside", bars: int) -> bytes:
    from encord_dagster.formats.chart import chart

    return chart(found.classes[:bars])


def _labels(scenes: "Sequence[Scene]", sizes: Sequence[tuple[int, int]]) -> Iterator[str]:
    """The same with ever fewer bytes."""
    from encord_dagster.formats.thumbnail import strip

    for shown in range(len(scenes), 0, -1):
        for high, wide in sizes:
            yield markdown.picture(strip(scenes[:shown], high=high, wide=wide), "labels of images that changed")


def _size(parts: Sequence[str]) -> int:
    return sum(len(part) + 2 for part in parts)


def _fitting(choices: Iterator[str], most: int) -> list[str]:
    return next(([text] for text in choices if len(text) <= most), [])
