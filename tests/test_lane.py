"""Rows in the fast lane of a conversion become what they become on the long way."""

import json
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from encord_dagster import rle
from encord_dagster.stream import cut
from encord_dagster.stream.lane import Lane
from tests import factories as make
from tests.effort import examples
from tests.encord.spellings import FREE, ranged
from tests.factories import Json
from tests.stream_exports import compact, named, rows_taken
from tests.test_stream import converted, counts, in_memory

ODD: dict[str, Callable[[Json], Json]] = {
    "outside": lambda one: one | {"boundingBox": {"x": 0.9, "y": 0.1, "w": 0.3, "h": 0.2}, "shape": "bounding_box"},
    "nowhere": lambda one: one | {"boundingBox": {"x": 0.9, "y": 0.1, "w": 0, "h": 0.2}, "shape": "bounding_box"},
    "negative zero": lambda one: one | {"boundingBox": {"x": -0.0, "y": 0, "w": 1, "h": 1}, "shape": "bounding_box"},
    "too sure": lambda one: one | {"confidence": 1.5},
    "deleted": lambda one: one | {"isDeleted": True},
    "not deleted": lambda one: one | {"isDeleted": False},
    "reviewed": lambda one: one | {"reviews": []},
    "no hash": lambda one: one | {"featureHash": "not a hash"},
    "a key": lambda one: one | {"objectHash": "AKIA0123456789ABCDEF"},
    "renamed": lambda one: one | {"name": "another name"},
    "personal": lambda one: one | {"name": "somebody@example.com"},
    "unknown key": lambda one: one | {"unknown": 1},
    "new class": lambda one: one | {"featureHash": "newclass", "name": "New"},
    "a bow": lambda one: _polygon(one, [(0.1, 0.1), (0.5, 0.5), (0.5, 0.1), (0.1, 0.5)]),
    "flat": lambda one: _polygon(one, [(0.1, 0.1), (0.5, 0.5), (0.3, 0.3)]),
    "two points": lambda one: _polygon(one, [(0.1, 0.1), (0.5, 0.5)]),
    "one point twice": lambda one: _polygon(one, [(0.1, 0.1), (0.1, 0.1), (0.5, 0.2), (0.2, 0.6)]),
    "many digits": lambda one: _polygon(one, [(1 / 3, 1e-7), (0.5, 0.123456789012345), (1, 0)]),
    "out of order": lambda one: (
        one | {"polygon": dict(reversed(_points([(0.1, 0.1), (0.5, 0.1), (0.5, 0.5)]).items()))}
    ),
    "beyond": lambda one: _polygon(one, [(0.1, 0.1), (1.2, 0.1), (0.5, 0.5)]),
    "numbers as texts": lambda one: one | {"polygon": {"0": {"x": "0.1", "y": "0.2"}}},
    "parts": lambda one: _nested(one, [[[0.1, 0.1, 0.3, 0.1, 0.3, 0.3]], [[0.2, 0.2, 0.5, 0.2, 0.5, 0.5]]]),
    "a hole": lambda one: _nested(one, [[[0.1, 0.1, 0.6, 0.1, 0.6, 0.6], [0.3, 0.2, 0.5, 0.2, 0.5, 0.4]]]),
    "a mask": lambda one: _mask(one),
    "a full mask": lambda one: _mask(one, [0, make.WIDTH * make.HEIGHT]),
    "an empty mask": lambda one: _mask(one, [make.WIDTH * make.HEIGHT]),
    "a mask that ends with nothing": lambda one: _mask(one, [make.WIDTH * make.HEIGHT - 9, 9, 0]),
    "a dense mask": lambda one: _mask(one, [1] * (make.WIDTH * make.HEIGHT)),
    "a mask too short": lambda one: _mask(one, [5, 5]),
    "a mask with a gap of less than nothing": lambda one: _mask(
        one, code=rle.encode([9, 5, 3, make.WIDTH * make.HEIGHT - 11]).replace("953", "95M")
    ),
    "a mask of strange letters": lambda one: _mask(one, code="é~"),
    "a mask that breaks off": lambda one: _mask(one, code="o"),
    "no mask": lambda one: _mask(one, code=""),
    "a mask of another size": lambda one: _mask(one, height=make.HEIGHT + 1),
    "a small mask": lambda one: _mask(one, [0, 20], width=5, height=4, top=1, left=2),
    "a mask moved": lambda one: _mask(one, top=1),
    "a ring in two keys": lambda one: _nested(one, [[[0.1, 0.1, 0.6, 0.1, 0.6, 0.6]]]),
}


def _points(points: list[tuple[float, float]]) -> Json:
    return {str(place): {"x": x, "y": y} for place, (x, y) in enumerate(points)}


def _polygon(one: Json, points: list[tuple[float, float]]) -> Json:
    kept = {key: value for key, value in one.items() if key not in ("boundingBox", "polygon", "polygons")}
    return kept | {"shape": "polygon", "polygon": _points(points)}


def _mask(one: Json, runs: list[int] | None = None, **changes: object) -> Json:
    drawn = runs or [make.WIDTH + 3, 7, make.WIDTH - 7, 8, make.WIDTH * (make.HEIGHT - 2) - 11]
    mask = {"rleString": changes.pop("code", rle.encode(drawn)), "top": 0, "left": 0}
    size = {"width": make.WIDTH, "height": make.HEIGHT}
    kept = {key: value for key, value in one.items() if key not in ("boundingBox", "polygon", "polygons")}
    return kept | {"shape": "bitmask", "bitmask": mask | size | changes}


def _nested(one: Json, rings: list[list[list[float]]]) -> Json:
    first = rings[0][0]
    return _polygon(one, list(zip(first[::2], first[1::2], strict=True))) | {"polygons": rings}


def _object(rng: random.Random, name: str) -> Json:
    if rng.random() < 0.2:
        gap = rng.randrange(1, make.WIDTH * make.HEIGHT - 9)
        code = rle.encode([gap, 9, make.WIDTH * make.HEIGHT - gap - 9])
        return make.bitmask(code, object_hash=f"mas{name}")
    if rng.random() < 0.5:
        return make.box(x=round(rng.uniform(0, 0.4), 4), y=round(rng.uniform(0, 0.4), 4), object_hash=f"box{name}")
    points = [(round(rng.random(), 4), round(rng.random(), 4)) for _ in range(rng.randrange(3, 9))]
    return make.polygon(points, f"pol{name}")


def _row(rng: random.Random, number: int) -> Json:
    given = [_object(rng, f"{number:03}{place:02}") for place in range(rng.randrange(1, 5))]
    match rng.randrange(3):
        case 0:
            return make.image_row(*given)
        case 1:
            return make.group_row(given, [_object(rng, f"{number:03}xx")])
        case _:
            return make.video_row({3: given[:1], 1: given} | ({8: []} if rng.random() < 0.3 else {}))


def _export(rng: random.Random, rows: int) -> list[Json]:
    return [named(_row(rng, number), number) for number in range(rows)]


def _frames(row: Json) -> list[Json]:
    found: list[Json] = []
    for unit in row["data_units"].values():  # type: ignore[attr-defined]  # free JSON
        found += [unit["labels"]] if "objects" in unit["labels"] else unit["labels"].values()
    return found


def _taken_in_small_chunks(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many rows the lane takes at a time: those of the first chunk bring classes that were not known."""
    some = cut.chunks
    monkeypatch.setattr(
        "encord_dagster.stream.ranges.chunks", lambda *where, last: some(*where, last=last, chunk=2**12)
    )
    return rows_taken(monkeypatch)


def test_plain_rows_take_the_lane(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All but those that bring a class that was not known before."""
    taken = _taken_in_small_chunks(monkeypatch)
    rows = [named(make.image_row(make.box()), number) for number in range(40)]
    data = compact(rows)
    expected = in_memory(data, tmp_path, "coco")
    outcome, found, _ = converted(data, tmp_path, "coco")
    assert 30 < sum(taken) < 40
    assert counts(outcome) == counts(expected[0])
    assert found == expected[1]


@pytest.mark.parametrize("free", FREE)
def test_rows_of_all_years_take_the_lane(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: str) -> None:
    """Keys that are there or not, written so or so, of which nothing is to be said."""
    taken = _taken_in_small_chunks(monkeypatch)
    rng = random.Random(free)
    rows = [named(make.image_row(make.box(), make.polygon(), make.bitmask("09")), 999), *_export(rng, 20)]
    same_of_the_lane(compact([rows[0], *map(FREE[free], rows[1:])]), tmp_path)
    assert sum(taken) >= 15


@pytest.mark.parametrize("seed", range(examples(6)))
def test_rows_of_different_years_make_the_same_files(tmp_path: Path, seed: int) -> None:
    """One beside the other, some with several of these, set as it may be, and with ranges of classifications."""
    rng = random.Random(seed)
    rows = _export(rng, 30)
    for place in range(0, len(rows), 2):
        for one in rng.sample(sorted(FREE), 2):
            rows[place] = FREE[one](rows[place])
    for place in range(0, len(rows), 7):
        last = rng.randrange(12)
        rows[place] |= {"classification_answers": ranged([last // 2, last], [0, 0])}
    data = json.dumps(rows, indent=2).encode() if seed % 2 else compact(rows)
    same_of_the_lane(data, tmp_path)


@pytest.mark.parametrize("seed", range(examples(6)))
def test_the_lane_makes_the_same_files(tmp_path: Path, seed: int) -> None:
    """Of rows of all kinds, some of which hold an odd object."""
    rng = random.Random(seed)
    rows = [named(make.image_row(make.box(), make.polygon()), 999), *_export(rng, 40)]
    for row in rows[1::3]:
        held = rng.choice([frame for frame in _frames(row) if frame["objects"]])["objects"]
        place = rng.randrange(len(held))  # type: ignore[arg-type]
        held[place] = ODD[rng.choice(sorted(ODD))](held[place])  # type: ignore[index]
    same_of_the_lane(compact(rows), tmp_path)


@pytest.mark.parametrize("odd", sorted(ODD))
def test_one_odd_object_among_plain_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, odd: str) -> None:
    """Whatever is odd about it, and with classes known from the rows before."""
    rng = random.Random(odd)
    monkeypatch.setattr("encord_dagster.stream.ranges.some_at_once", lambda pieces: ([piece] for piece in pieces))
    rows = [named(make.image_row(make.box(), make.polygon()), number) for number in range(5)]
    rows += [
        named(make.image_row(*(_object(rng, f"{number}{place}") for place in range(3))), number) for number in (7, 8)
    ]
    (frame,) = _frames(rows[5])
    frame["objects"][1] = ODD[odd](frame["objects"][1])  # type: ignore[index]
    same_of_the_lane(compact(rows), tmp_path)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"featureHash":', b'"featureHash" :'),
        (b'"confidence":', b'"confidence":0.5,"confidence":'),
        (b'"x":', b'"x":0.25,"x":'),
        (b'"objects":', b'"more":{"a":1},"objects":'),
        (b'"name":"', b'"name":"\\u0041\\":'),
        (b'"0":{"x":', b'"00":{"x":'),
        (b'"1":{"x":', b'"1":{"z":1,"x":'),
    ],
)
def test_texts_that_are_written_otherwise(tmp_path: Path, old: bytes, new: bytes) -> None:
    """Keys apart from their colons, there twice, unknown, or of another look, in one row of several."""
    rows = [compact(named(make.image_row(make.box(), make.polygon()), number)) for number in range(6)]
    at = rows[4].index(old)
    rows[4] = rows[4][:at] + new + rows[4][at + len(old) :]
    same_of_the_lane(b"[" + b",".join(rows) + b"]", tmp_path)


@pytest.mark.parametrize("seed", range(examples(4)))
def test_frames_without_labels_are_told_of_in_order(tmp_path: Path, seed: int) -> None:
    """Also where rows between them are left to the long way."""
    rng = random.Random(seed)
    rows = [named(make.image_row(make.box(), make.polygon()), 999)]
    for number in range(30):
        frames = {place: [_object(rng, f"{number}{place}")] for place in range(4)}
        frames[rng.randrange(5)] = []
        given = make.group_row(*frames.values()) if rng.random() < 0.5 else make.video_row(frames)
        rows.append(named(given, number))
    for row in rows[2::3]:
        held = [one for frame in _frames(row) for one in frame["objects"]]  # type: ignore[attr-defined]
        held[-1]["confidence"] = 1.5
    same_of_the_lane(compact(rows), tmp_path)


def same_of_the_lane(data: bytes, folder: Path) -> None:
    """Expect the same of the lane as of a lake in memory, and as of a conversion without the lane."""
    expected = in_memory(data, folder, "coco")
    outcome, found, told = converted(data, folder, "coco")
    assert counts(outcome) == counts(expected[0])
    assert found == expected[1]
    assert told == []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Lane, "take", lambda _, chunk: chunk.pieces)
        other = converted(data, folder, "coco")
    assert counts(outcome) == counts(other[0])
    assert found == other[1]
