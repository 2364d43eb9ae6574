"""Outlines read many at once are those that a JSON reader reads, or are left to it."""

import json
import random

import pytest

from encord_dagster.encord.plain_points import read_points
from tests.effort import examples


def _outline(rng: random.Random, digits: int) -> bytes:
    points = [(round(rng.random(), digits), round(rng.random(), digits)) for _ in range(rng.randrange(1, 40))]
    points += [(0, 1), (1.0, 0.0), (0.5, 0.25)][: rng.randrange(4)]
    return _text(points)


def _text(points: list[tuple[float, float]]) -> bytes:
    keyed = {str(place): {"x": x, "y": y} for place, (x, y) in enumerate(points)}
    return json.dumps(keyed, separators=(",", ":")).encode()


@pytest.mark.parametrize("digits", range(1, 16))
def test_points_are_those_of_a_json_reader(digits: int) -> None:
    """To the last bit, whatever the number of their digits."""
    rng = random.Random(digits)
    for _ in range(examples(20)):
        texts = [text for _ in range(rng.randrange(1, 20)) if b"e-" not in (text := _outline(rng, digits))]
        if not texts:
            continue
        documents = [list(json.loads(text).values()) for text in texts]
        found = read_points(texts)
        assert found is not None
        points, sizes = found
        assert sizes.tolist() == [len(points) for points in documents]
        assert points.tolist() == [[point["x"], point["y"]] for points in documents for point in points]


def test_an_outline_of_thousands_of_points() -> None:
    """Keys of several digits."""
    rng = random.Random(4)
    points = [(round(rng.random(), 4), round(rng.random(), 4)) for _ in range(5000)]
    found = read_points([_text(points)])
    assert found is not None
    assert found[0].tolist() == [list(point) for point in points]


PLAIN = b'{"0":{"x":0.1,"y":0.2},"1":{"x":0.3,"y":0.4}}'


@pytest.mark.parametrize(
    "text",
    [
        b"{}",
        b"[]",
        b"null",
        PLAIN.replace(b'"1"', b'"2"'),
        PLAIN.replace(b'"1"', b'"01"'),
        PLAIN.replace(b'"1"', b'"1.0"'),
        PLAIN.replace(b'"1"', b'"0"'),
        PLAIN.replace(b'"1":{"x"', b'"":{"1x"'),
        PLAIN.replace(b"0.1", b'"0.1"'),
        PLAIN.replace(b"0.1", b"1e-1"),
        PLAIN.replace(b"0.1", b"-0.1"),
        PLAIN.replace(b"0.1", b"-0"),
        PLAIN.replace(b"0.1", b"2"),
        PLAIN.replace(b"0.1", b"12.5"),
        PLAIN.replace(b"0.1", b"0.1000000000000000055"),
        PLAIN.replace(b"0.1", b"null"),
        PLAIN.replace(b"0.1", b'{"x":0.1}'),
        PLAIN.replace(b'"x"', b'"X"'),
        PLAIN.replace(b'"y":0.2', b'"y":0.2,"z":0.2'),
        PLAIN.replace(b'"y":0.2', b'"y" :0.2'),
        PLAIN.replace(b'"y":0.2', b'"y":0.2 '),
        PLAIN.replace(b'{"x":0.1,"y":0.2}', b'{"y":0.2,"x":0.1}'),
        PLAIN.replace(b",", b", "),
        PLAIN + b" ",
    ],
)
def test_what_is_written_otherwise_is_not_read(text: bytes) -> None:
    """Also among outlines that could be read."""
    assert read_points([PLAIN]) is not None
    assert text != PLAIN
    assert read_points([text]) is None
    assert read_points([PLAIN, text, PLAIN]) is None
