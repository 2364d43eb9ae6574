"""Exports to convert as streams, and the folder that a conversion through a lake in memory makes of one."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from encord_dagster import commands
from encord_dagster.config import LabelSetConfig
from encord_dagster.outcomes import Batch
from encord_dagster.stream import batch as lane
from tests import factories as make
from tests.factories import Json


def silent(_: str) -> None:
    """No progress."""


def compact(documents: object) -> bytes:
    """An export as the platform writes it."""
    return json.dumps(documents, separators=(",", ":")).encode()


def named(document: Json, number: int) -> Json:
    """The row with hashes of its own."""
    units = {}
    for place, unit in enumerate(document["data_units"].values()):  # type: ignore[attr-defined]  # free JSON
        key = f"data-{number:04}-{place}"
        units[key] = unit | {"data_hash": key}
    return document | {"label_hash": f"label-{number:04}", "data_hash": f"data-{number:04}-0", "data_units": units}


def objects(number: int) -> list[Json]:
    """Objects of all shapes, differing by number."""
    at = 0.1 + number % 50 / 100
    return [
        make.box(x=at, object_hash=f"box{number:05}"),
        make.polygon([(at, 0.2), (at + 0.3, 0.25), (at + 0.2, 0.6), (at - 0.05, 0.5)], f"pol{number:05}"),
        make.polygon([(at, 0.2), (at + 0.3, 0.6), (at + 0.3, 0.2), (at, 0.6)], f"bow{number:05}"),
        make.polygons([[[0.1, 0.1, 0.4, 0.1, 0.4, 0.6], [0.2, 0.2, 0.3, 0.2, 0.3, 0.3]]], f"hol{number:05}"),
        make.bitmask(f"{_code(number)}", make.WIDTH, make.HEIGHT, object_hash=f"bit{number:05}"),
        make.rotated_box(theta=number, object_hash=f"rot{number:05}"),
        make.polyline(object_hash=f"lin{number:05}"),
        make.point(object_hash=f"poi{number:05}"),
        make.skeleton(object_hash=f"ske{number:05}"),
        make.ellipse(object_hash=f"ell{number:05}"),
    ]


def export(rows: int) -> list[Json]:
    """Rows of all kinds with objects of all shapes, some of them odd or bad."""
    made: list[Json] = []
    for number in range(rows):
        match number % 8:
            case 0:
                document = make.image_row(*objects(number))
            case 1:
                document = make.group_row(objects(number)[:2], objects(number)[2:4], [])
            case 2:
                document = make.video_row({3: objects(number)[:1], 1: objects(number)[:3], 10: []})
            case 3:
                slices = {0: make.dicom_slice(*objects(number)[:2]), 1: make.dicom_slice(uid=f"1.2.3.{number}.6")}
                document = make.dicom_row(slices)
            case 4:
                document = make.image_row(make.box(x=5), make.box(x=0.97, object_hash="object02"))
            case 5:
                document = make.image_row(branch_name="review") if number % 3 else make.image_row(make.cuboid())
            case 6:
                document = make.row("deleted", []) if number % 16 == 6 else make.image_row(data_units={})
            case _:
                rare = make.box(featureHash=f"Rare{number:04}", name=f"rare {number}")
                document = make.image_row(rare, make.box(object_hash="object03"), make.box(object_hash="object04"))
        made.append(named(document, number))
    return made


def through_memory(
    url: Path, output: Path, formats: Sequence[str], config: LabelSetConfig
) -> tuple[list[Batch], list[Path]]:
    """A conversion by the way that reads whole files."""
    return commands.in_memory([str(url)], output, formats, config, silent)


def files_below(folder: Path) -> dict[str, bytes]:
    """Contents of all files by their paths."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def _code(number: int) -> str:
    from encord_dagster import rle

    start = make.WIDTH * 20 + number % 100 + 5
    runs = [start, 30, make.WIDTH - 30, 40, make.WIDTH - 45, 20]
    return rle.encode([*runs, make.WIDTH * make.HEIGHT - sum(runs)])


def rows_taken(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many rows the lane takes at a time, as it takes them."""
    taken: list[int] = []
    write = lane.Batch.write

    def noted(batch: lane.Batch, offset_of: Callable[[int], int]) -> None:
        taken.append(len(batch.ends))
        write(batch, offset_of)

    monkeypatch.setattr(lane.Batch, "write", noted)
    return taken
