"""The COCO images of rows that stand in columns: each as `coco.image` has it alone."""

from collections.abc import Iterator, Sequence
from itertools import chain, repeat

from encord_dagster import identity
from encord_dagster.encord.plain_columns import RowColumns
from encord_dagster.formats import coco


def images(rows: RowColumns) -> list[coco.Image]:
    """The images of all frames, all of which have a size."""
    frames = rows.frames
    ids = identity.numbers(
        ("image\0", [f"{data_hash}\0{own}" for data_hash, own in zip(frames.data_hash, frames.identity, strict=True)])
        for _ in range(1)
    )
    label_hashes = list(_of_frames(rows.label_hashes, rows.frame_counts))
    origins = map(
        coco.Origin,
        label_hashes,
        frames.data_hash,
        frames.number,
        repeat(None),
        repeat(None),
        _of_frames(rows.branch_names, rows.frame_counts),
    )
    given = _given(rows, label_hashes) if rows.classifications and rows.of_rows else repeat(())
    return list(map(coco.Image, ids, frames.width, frames.height, _file_names(rows), given, origins))


def _of_frames(values: Sequence[str], counts: Sequence[int]) -> Iterator[str]:
    """A value of each row, for each of its frames."""
    return chain.from_iterable(map(repeat, values, counts))


def _given(rows: RowColumns, label_hashes: Sequence[str]) -> Iterator[tuple[coco.ImageClassification, ...]]:
    """The classifications of each image."""
    of_rows = chain.from_iterable(map(repeat, rows.of_rows or (), rows.frame_counts))
    for own, of_row, label_hash in zip(rows.classifications or (), of_rows, label_hashes, strict=True):
        yield coco.classifications(own, of_row, label_hash) if own or of_row else ()


def _file_names(rows: RowColumns) -> list[str]:
    frames = rows.frames
    data_hashes = frames.data_hash
    if not coco.PLAIN_NAMES.fullmatch("".join(data_hashes)):
        data_hashes = list(map(coco.quoted, data_hashes))
    about = zip(data_hashes, frames.number, frames.mime_type, strict=True)
    types = _of_frames(rows.data_types, rows.frame_counts)
    return [coco.name_of(*one, data_type) for one, data_type in zip(about, types, strict=True)]
