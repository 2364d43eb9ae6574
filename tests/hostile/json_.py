"""J: texts that are no JSON, alone and inside an export; numbers, depths and duplicates that parsers disagree on."""

import json
from collections.abc import Callable
from functools import partial

import msgspec

from tests import factories as make
from tests.factories import Json
from tests.hostile.case import (
    Case,
    Delivery,
    Expected,
    accepted,
    beside,
    image,
    neighbour,
    object_quarantined,
    one,
    refused,
    row_quarantined,
    spliced,
)
from tests.hostile.invalid import INVALID, SCALARS
from tests.hostile.invalid import VALID as VALID_TEXTS

PLACE = "here it is"
DEPTH = 100_000


def is_json(data: bytes) -> bool:
    """Whether Python's parser or msgspec's takes the bytes for JSON."""
    return _parses(json.loads, data) or _parses(msgspec.json.decode, data)


def inside(text: str | bytes, label_hash: str) -> bytes:
    """An export of one row that holds the text as it is, under a key that nobody reads."""
    return spliced([make.image_row(make.box(), client_metadata=PLACE, label_hash=label_hash)], PLACE, text)


def broken(text: str | bytes) -> list[Delivery]:
    """A text that is no JSON, alone and inside a row: the file is refused."""
    alone = text if isinstance(text, bytes) else text.encode()
    both = (alone, inside(text, "row-of-broken-json"))
    if any(is_json(data) for data in both):
        raise ValueError(f"{text!r} is JSON")
    return [Delivery(data=data, expected=refused("not_json", "truncated_json")) for data in both]


def valid(text: str) -> list[Delivery]:
    """A text that is JSON: alone it is no export, inside a row it harms nothing."""
    alone, held = text.encode(), inside(text, "row-of-odd-json")
    if not _parses(json.loads, held) or not _parses(msgspec.json.decode, held):
        raise ValueError(f"{text!r} is no JSON")
    nothing = Expected(status="observed", findings=frozenset({"no_rows"}))
    expected = nothing if json.loads(alone) == [] else refused("not_label_rows")
    return [Delivery(data=alone, expected=expected), Delivery(data=held, expected=accepted(1))]


def number(text: str, *, of_size: Expected, of_shape: Expected, unread: Expected) -> list[Delivery]:
    """A number where the width stands, where a coordinate stands, and where nobody reads."""
    sized: Json = dict(make.unit("data-0", "image/png", make.labels(make.box()), width=PLACE))
    rows = (
        (make.row("image", [sized]), of_size),
        (image(make.box(x=PLACE)), of_shape),
        (image(client_metadata={"a": PLACE}), unread),
    )
    return [Delivery(data=spliced([row, neighbour()], PLACE, text), expected=expected) for row, expected in rows]


def no_number(text: str) -> list[Delivery]:
    """NaN and Infinity, which Python writes: what holds one is quarantined for it, the rest is read."""
    sized = Expected(objects=("no_frame_size",), published=1, findings=frozenset({"bad_frame_size"}))
    return [
        *number(text, of_size=sized, of_shape=object_quarantined("bad_geometry"), unread=accepted(2)),
        *one(spliced([image(make.box(confidence=PLACE)), neighbour()], PLACE, text), accepted(3, "bad_confidence")),
    ]


def huge(text: str) -> list[Delivery]:
    """A number beyond all that a width or coordinate can be."""
    sized = Expected(objects=("no_frame_size",), published=1, findings=frozenset({"bad_frame_size"}))
    return number(text, of_size=sized, of_shape=object_quarantined("outside_image"), unread=accepted(2))


def beyond_doubles(text: str) -> list[Delivery]:
    """A number that no double holds: the row, or the object, that needs it goes."""
    return number(
        text,
        of_size=row_quarantined("unit_unreadable"),
        of_shape=object_quarantined("bad_geometry"),
        unread=accepted(2),
    )


def surrogates() -> list[Delivery]:
    """Half a pair, in a name, in a key, and where nobody reads: it is no character, and costs the row."""
    texts = ('"\\ud800"', '"\\udc00\\ud800"', '{"\\ud83d": 1}')
    return [
        Delivery(data=spliced([row, neighbour()], PLACE, text), expected=row_quarantined("row_unreadable"))
        for text in texts
        for row in (image(make.box(name=PLACE)), image(client_metadata=PLACE))
    ]


def deep(opening: str, closing: str) -> list[Delivery]:
    """Nested a hundred thousand deep: alone, never closed, in a row unread, and as labels, answers and geometry."""
    nested = opening * DEPTH + "1" + closing * DEPTH
    rows = [
        image(client_metadata=PLACE),
        image(make.box() | {"boundingBox": PLACE}),
        make.image_row(object_answers=PLACE),
        make.row("image", [make.unit("data-0", "image/png", PLACE)]),
        make.image_row(export_history=PLACE),
    ]
    exports = [nested.encode(), (opening * DEPTH).encode(), *(spliced([row], PLACE, nested) for row in rows)]
    return [Delivery(data=data, expected=refused("too_deep", "truncated_json")) for data in exports]


def duplicate_in_wrapper() -> list[Delivery]:
    """`labels` twice: which of them is meant is not certain."""
    row, other = make.encode(image()), make.encode(neighbour())
    twice = b'{"labels": [%s], "ontology": {}, "labels": [%s]}' % (row, other)
    return one(twice, refused("duplicate_key"))


def duplicate_in_row() -> list[Delivery]:
    """A key twice in a row, a data unit, an object and a geometry: only that row goes."""
    unit: Json = dict(make.unit("data-0", "image/png", make.labels(make.box()), width=PLACE))
    return [
        Delivery(data=spliced([row, neighbour()], PLACE, text), expected=row_quarantined("duplicate_key"))
        for row, text in (
            (make.image_row(make.box(), export_hash=PLACE), '"a", "export_hash": "b"'),
            (make.image_row(make.box(), data_units=PLACE), '{}, "data_units": {}'),
            (make.row("image", [unit]), '100, "width": 200'),
            (make.image_row(make.box(featureHash=PLACE)), '"BoxClas1", "featureHash": "BoxClas2"'),
            (make.image_row(make.box(x=PLACE)), '0.25, "x": 0.5'),
            (make.image_row(make.box(x=PLACE)), '0.25, "\\u0078": 0.25'),
        )
    ]


def trailing() -> list[Delivery]:
    """Something behind the array, and behind a single row."""
    data = beside(image())
    row = make.encode(image())
    ends = (b" x", b"]", b",", b"[]", b"\0", b"{}", b"\n{", b"null", b"// end")
    return [
        Delivery(data=whole + end, expected=refused("not_json", "truncated_json"))
        for whole, wrong in ((data, ends), (row, (b" x", b"]", b",", b"}", b"\0", b" 1")))
        for end in wrong
    ]


def _parses(parse: Callable[[bytes], object], data: bytes) -> bool:
    try:
        parse(data)
    except (ValueError, msgspec.DecodeError, RecursionError):
        return False
    return True


_TEXTS = [(f"{kind}: {name}", name, text) for kind, texts in INVALID for name, text in texts]
_BROKEN = tuple(
    Case(
        id=f"J{number:03}",
        name=name,
        make=partial(broken, text),
        together=True,
    )
    for number, (name, _, text) in enumerate(_TEXTS, start=1)
)
VALID = tuple(
    Case(id=f"Y{number:03}", name=name, make=partial(valid, text), together=True)
    for number, (name, text) in enumerate(
        [
            *VALID_TEXTS,
            *SCALARS,
        ],
        start=1,
    )
)
CASES = (
    *_BROKEN,
    Case(id="J189", name="NaN", make=lambda: no_number("NaN")),
    Case(id="J190", name="Infinity", make=lambda: [*no_number("Infinity"), *no_number("-Infinity")]),
    Case(id="J191", name="1e999", make=lambda: [*beyond_doubles("1e999"), *beyond_doubles("-1e999")]),
    Case(id="J192", name="integer of 5,000 digits", make=lambda: beyond_doubles("9" * 5000)),
    Case(id="J193", name="2^64", make=lambda: [*huge(str(2**64)), *huge(str(2**64 - 1)), *huge(str(2**63))]),
    Case(id="J194", name="lone surrogates", make=surrogates),
    Case(id="J195", name="lists 100,000 deep", make=lambda: deep("[", "]"), heavy=True, together=True),
    Case(id="J196", name="objects 100,000 deep", make=lambda: deep('{"a":', "}"), heavy=True, together=True),
    Case(id="J197", name="key twice at the top", make=duplicate_in_wrapper),
    Case(id="J198", name="key twice in a row", make=duplicate_in_row),
    Case(id="J199", name="something behind the end", make=trailing, together=True),
)
