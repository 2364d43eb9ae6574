"""Deliveries that go wrong: files that are no exports, and a row with objects that cannot be converted."""

from datetime import UTC, datetime

import msgspec
from msgspec import UNSET

from encord_dagster.samples.bodies import raw
from encord_dagster.samples.document import LabelObject, Mask, Row
from encord_dagster.samples.edits import frames_of
from encord_dagster.samples.exports import Project, encoded, first_export, first_rows

BAD_OBJECTS = {"run_sum": "bad+runs", "out_of_frame": "bad/y620", "two_points": "bad2pnts"}

_DAY = datetime(2023, 10, 2, 14, 35, 30, tzinfo=UTC)
_PAGE = b"""<!DOCTYPE html>
<html><head><title>Sign in</title></head>
<body><h1>Your session has expired</h1><p>Please sign in again to download the export.</p></body></html>
"""


def bad_exports() -> dict[str, bytes]:
    """Files named as exports that hold none: cut off, a sign-in page, empty."""
    whole = first_export(Project(seed=99, rows=2, kinds=("image",)), exported_at=_DAY)
    return {"cut_off.json": whole[: len(whole) * 2 // 3], "sign_in_page.json": _PAGE, "empty.json": b""}


def bad_row(*, seed: int = 7, rows: int = 4, exported_at: datetime = _DAY) -> bytes:
    """An export of images of the seed's dataset, not in `first_export`, whose second row has three bad objects.

    They are named in `BAD_OBJECTS`: a bitmask whose runs are one pixel too many, a box at y = 6204, a polygon of two
    points. The other objects of the row, and the other rows, are good.
    """
    project = Project(seed, rows, kinds=("image",), first_row=100_000)
    made = first_rows(project, exported_at=exported_at)
    _spoil(made[1 % rows])
    return encoded(made, pretty=True)


def _spoil(row: Row) -> None:
    (unit,) = row.data_units
    labels = frames_of(row, unit)[0]
    by_name = {entry.name: entry for entry in labels.objects}
    labels.objects += [
        _with_hash(_wrong_runs(by_name["Road surface"]), BAD_OBJECTS["run_sum"]),
        _with_hash(_far_below(by_name["Car"]), BAD_OBJECTS["out_of_frame"]),
        _with_hash(_two_points(by_name["Tree"]), BAD_OBJECTS["two_points"]),
    ]
    row.data_units[unit].labels = raw(labels)


def _with_hash(entry: LabelObject, object_hash: str) -> LabelObject:
    return msgspec.structs.replace(entry, object_hash=object_hash)


def _wrong_runs(entry: LabelObject) -> LabelObject:
    """Makes the first run, which holds the zeros above the road, one longer: the sum is one too big."""
    assert isinstance(entry.bitmask, Mask)  # a road surface always has one
    text = entry.bitmask.rle_string
    first = ord(text[0]) - 48
    spoilt = chr(48 + (first ^ 1)) + text[1:]
    return msgspec.structs.replace(entry, bitmask=msgspec.structs.replace(entry.bitmask, rle_string=spoilt))


def _far_below(entry: LabelObject) -> LabelObject:
    assert entry.bounding_box is not UNSET  # a car always has one
    return msgspec.structs.replace(entry, bounding_box=msgspec.structs.replace(entry.bounding_box, y=6204))


def _two_points(entry: LabelObject) -> LabelObject:
    assert entry.polygon is not UNSET  # a tree always has one
    return msgspec.structs.replace(entry, polygon={key: entry.polygon[key] for key in ("0", "1")})
