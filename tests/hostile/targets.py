"""What the fuzzer calls: bytes in, and an exception where a promise is broken. Knows nothing of the fuzzer."""

import copy
import json
import re
from collections.abc import Callable, Sequence
from typing import Protocol

import msgspec
import numpy as np
import pycocotools.mask

from encord_dagster import rle
from encord_dagster.accounting import Reading, open_delivery, read_rows
from encord_dagster.config import LabelSetConfig
from encord_dagster.encord.bitmask import RunsError, decode_runs, paste_runs
from encord_dagster.encord.model import LabelRow
from encord_dagster.errors import ExportError, RowError
from encord_dagster.formats.convert import convert
from encord_dagster.formats.fragment import classes_of, fitted
from encord_dagster.validation import RULES, conservation
from tests.encord.test_fuzz import ROWS, places
from tests.factories import HEIGHT, WIDTH, Json
from tests.lakes import project_export

CONFIG = LabelSetConfig(name="fuzz")
CODES = {rule.name for rule in RULES}
MOST_PIXELS = 2**20  # of a frame that is converted: the fuzzer looks for faults, not for large pictures
MOST_PAINTED = 2**14  # of a frame that is painted
MOST_BYTES = 20_000  # of a row that is converted
ADDRESS = "jane@canary.example.com"
_ADDRESS = re.compile(rb"[a-z0-9]@canary\.example\.com")
SMALL = [  # the rows of the other search, on small images
    json.dumps(row).replace(f'"width": {WIDTH}, "height": {HEIGHT}', '"width": 128, "height": 72') for row in ROWS
]
WORDS: tuple[object, ...] = (
    None, True, False, 0, -1, 1, 0.5, 1e308, -1e-308, 2**63, 2**64, 10**30, float("nan"), float("inf"), "", "null",
    "None", "0", "-5", "1e400", "NaN", "\ud800", "\u202e", "a" * 70, "9" * 5000, ADDRESS, [], {}, [[]], {"0": {}},
    {"x": 0.5, "y": 0.5}, [0.1, 0.2], [[0, 10**9]], [{"featureHash": "x"}], {"0": None}, "bitmask", "polygon", "video",
    "deleted", "2024-01-01 10:00:00", "02220N:0F20N",
)  # fmt: skip


class Chooser(Protocol):
    """The part of a fuzzer's data provider that is used here."""

    def ConsumeIntInRange(self, low: int, high: int, /) -> int: ...  # noqa: N802 - the fuzzer's name
    def ConsumeUnicode(self, count: int, /) -> str: ...  # noqa: N802 - the fuzzer's name
    def ConsumeBytes(self, count: int, /) -> bytes: ...  # noqa: N802 - the fuzzer's name
    def ConsumeFloat(self) -> float: ...  # noqa: N802 - the fuzzer's name


class Broken(AssertionError):
    """A promise does not hold."""


def read_export(data: bytes) -> None:
    """Any bytes: opened, cut into rows, read, validated and converted, or refused with a code that is known."""
    try:
        readings = list(read_rows(open_delivery(data, CONFIG), CONFIG))
    except ExportError as error:
        hold(error.reason in CODES, f"the reason {error.reason} is on no list")
        return
    for reading in readings:
        _check(reading)


def read_tree(chooser: Chooser) -> None:
    """A good row with some places of its JSON deleted, retyped, doubled, swapped or enlarged."""
    row: Json = json.loads(SMALL[chooser.ConsumeIntInRange(0, len(SMALL) - 1)])
    for _ in range(chooser.ConsumeIntInRange(1, 6)):
        found = places(row)
        if not found:
            break
        holder, key = found[chooser.ConsumeIntInRange(0, len(found) - 1)]
        CHANGES[chooser.ConsumeIntInRange(0, len(CHANGES) - 1)](holder, key, found, chooser)
    read_export(json.dumps([row]).encode())


def read_runs(chooser: Chooser) -> None:
    """Any run-length code over any size: refused, or exactly its pixels, by both decoders and by pycocotools."""
    width, height = chooser.ConsumeIntInRange(-1, 64), chooser.ConsumeIntInRange(-1, 64)
    raw = chooser.ConsumeBytes(4096)
    text = raw.decode("latin-1") if raw[:1] == b"\xff" else "".join(chr(48 + byte % 64) for byte in raw)
    try:
        runs: Sequence[int] | None = decode_runs(text, width, height)
    except RunsError:
        runs = None
    try:
        other: list[int] | None = rle.decode(text)
    except rle.RleError:
        other = None
    if runs is None:
        _refused_too(other, width, height)
        return
    hold(other == list(runs), "the decoders disagree")
    hold(sum(runs) == width * height and min(runs) >= 0, "the runs are not the frame")
    _same_pixels(runs, text, width, height)


def _check(reading: Reading) -> None:
    told = msgspec.json.encode(reading, enc_hook=list)  # runs of a mask may be an array
    rules = {finding.rule for finding in reading.findings}
    hold(rules <= CODES, f"rules on no list: {rules - CODES}")
    hold("objects_unaccounted" not in rules, "objects are unaccounted for")
    hold(_ADDRESS.search(told) is None, "an address left the reader")
    if reading.row is None:
        hold(reading.status == "quarantined" and bool(rules), "a row vanished without a finding")
        return
    hold(conservation(reading.row) is None, "objects are unaccounted for")
    if not reading.row.deleted:
        _convert(reading.row, large=reading.length > MOST_BYTES)


def _convert(row: LabelRow, *, large: bool) -> None:
    claimed = classes_of(row)
    categories = {key: msgspec.structs.replace(one, id=n) for n, (key, one) in enumerate(claimed.items(), start=1)}
    row = fitted(row, categories)
    hold(conservation(row) is None, "objects are unaccounted for once they fit their classes")
    pixels = max(((frame.width or 0) * (frame.height or 0) for frame in row.frames), default=0)
    if large or pixels > MOST_PIXELS or len(row.frames) > 100:
        return
    try:
        fragment = convert(row, categories, masks=pixels <= MOST_PAINTED)
    except RowError as error:
        hold(error.reason in CODES, f"the reason {error.reason} is on no list")
        return
    objects = sum(len(frame.objects) for frame in row.frames)
    hold(len(fragment.annotations) == objects, f"{objects} objects became {len(fragment.annotations)} annotations")
    for record in (*fragment.images, *fragment.annotations):
        json.loads(record, parse_constant=_no_constant)
    hold(_ADDRESS.search(msgspec.json.encode(fragment.tables)) is None, "an address stands in a table")


def _no_constant(name: str) -> None:
    raise Broken(f"{name} was published, which is no JSON")


def _refused_too(runs: list[int] | None, width: int, height: int) -> None:
    """Runs that one decoder refused for this size: the other floor must not take them either."""
    if runs is None or width <= 0 or height <= 0:
        return
    try:
        rle.to_column_major(runs, width, height)
    except rle.RleError:
        return
    limited = not runs or len(runs) > width * height + 1 or max(runs) >= 2**29  # only the reader has limits
    hold(limited, "a mask that the reader refused would have been converted")


def _same_pixels(runs: Sequence[int], text: str, width: int, height: int) -> None:
    naive = np.repeat(np.arange(len(runs)) % 2 == 1, runs).reshape(height, width)
    columns = rle.to_column_major(runs, width, height)
    hold(bool((rle.to_dense(columns) == naive).all()), "column order shows other pixels")
    hold(columns.area == int(naive.sum()), "the area is not the count of pixels")
    hold(rle.decode(rle.encode(runs)) == list(runs), "a code does not come back")
    judged = pycocotools.mask.decode({"size": [width, height], "counts": text.encode()}).T.astype(bool)
    hold(bool((judged == naive).all()), "pycocotools shows other pixels")
    pasted = paste_runs(tuple(runs), width=width, at=(3, 2), frame=(width + 5, height + 4))
    framed = np.zeros((height + 4, width + 5), dtype=bool)
    framed[2 : 2 + height, 3 : 3 + width] = naive
    shown = np.repeat(np.arange(len(pasted)) % 2 == 1, pasted).reshape(framed.shape)
    hold(bool((shown == framed).all()), "a pasted mask shows other pixels")


def hold(promise: bool, otherwise: str) -> None:
    """Raise where a promise does not hold."""
    if not promise:
        raise Broken(otherwise)


# changes of one place

Holder = Json | list[object]
Place = tuple[Holder, str | int]
Change = Callable[[Holder, str | int, Sequence[Place], Chooser], None]


def _delete(holder: Holder, key: str | int, found: Sequence[Place], chooser: Chooser) -> None:
    del holder[key]  # type: ignore[arg-type]  # the key is of its holder


def _retype(holder: Holder, key: str | int, found: Sequence[Place], chooser: Chooser) -> None:
    which = chooser.ConsumeIntInRange(0, len(WORDS) + 2)
    made = (
        chooser.ConsumeFloat,
        lambda: chooser.ConsumeUnicode(20),
        lambda: chooser.ConsumeIntInRange(-(2**31), 2**31),
    )
    value = copy.deepcopy(WORDS[which]) if which < len(WORDS) else made[which - len(WORDS)]()
    holder[key] = value  # type: ignore[index]  # the key is of its holder


def _double(holder: Holder, key: str | int, found: Sequence[Place], chooser: Chooser) -> None:
    value = copy.deepcopy(holder[key])  # type: ignore[index]  # the key is of its holder
    if isinstance(holder, list):
        holder.append(value)
    else:
        holder[f"{key}{chooser.ConsumeIntInRange(0, 9)}"] = value


def _swap(holder: Holder, key: str | int, found: Sequence[Place], chooser: Chooser) -> None:
    other, at = found[chooser.ConsumeIntInRange(0, len(found) - 1)]
    holder[key] = copy.deepcopy(other[at])  # type: ignore[index]  # keys of their holders


def _enlarge(holder: Holder, key: str | int, found: Sequence[Place], chooser: Chooser) -> None:
    times = 2 ** chooser.ConsumeIntInRange(1, 10)
    value = holder[key]  # type: ignore[index]  # the key is of its holder
    larger: object = [value]
    if isinstance(value, str | list):
        larger = value * times if len(value) * times < 10_000 else value
    elif isinstance(value, int | float):
        larger = value * 10.0 ** chooser.ConsumeIntInRange(-9, 9)
    elif isinstance(value, dict) and value and len(value) * times < 1000:
        pairs = list(value.items())
        larger = {f"{name}{n or ''}": copy.deepcopy(child) for n in range(times) for name, child in pairs}
    holder[key] = larger  # type: ignore[index]  # the key is of its holder


def _rename(holder: Holder, key: str | int, found: Sequence[Place], chooser: Chooser) -> None:
    if isinstance(holder, dict):
        holder[ADDRESS if chooser.ConsumeIntInRange(0, 1) else chooser.ConsumeUnicode(12)] = holder.pop(str(key))


CHANGES: tuple[Change, ...] = (_delete, _retype, _retype, _double, _swap, _enlarge, _rename)


# where the fuzzer starts


def seeds(target: str) -> list[bytes]:
    """Inputs that get far: rows of every layout, whole sample exports, good run-length codes."""
    if target == "tree":
        return [bytes([number]) * 32 for number in range(len(SMALL))] + [bytes(range(n, 256, 7)) for n in range(7)]
    if target == "runs":
        codes = ("02220N:0F20N", "01521", "g04600000a0", "9", "09", "i?", "121O2", "1N9", "0a")
        sizes = ((6, 6), (5, 3), (10, 8), (3, 3), (3, 3), (5, 101), (4, 2), (3, 3), (5, 5))
        return [bytes(ord(one) - 48 for one in code) + bytes(size) for code, size in zip(codes, sizes, strict=True)]
    rows = [row.encode() for row in SMALL]
    wrapped = b'{"labels": [' + rows[0] + b'], "ontology": {}}'
    return [*(b"[" + row + b"]" for row in rows), b"\n".join(rows[:2]), wrapped, project_export(1), project_export(3)]


def dictionary() -> list[bytes]:
    """Keys and short values of the format, as JSON."""
    found = {
        b"[",
        b"]",
        b"{",
        b"}",
        b",",
        b":",
        b'"0"',
        b"null",
        b"NaN",
        b"1e999",
        b"\\ud800",
        b"\xef\xbb\xbf",
        b"\x1f\x8b",
    }
    stack: list[object] = [*ROWS]
    while stack:
        here = stack.pop()
        if isinstance(here, dict):
            found |= {json.dumps(str(key)).encode() for key in here}
            stack += here.values()
        elif isinstance(here, list):
            stack += here
        elif isinstance(here, str) and len(here) < 40:
            found.add(json.dumps(here).encode())
    return sorted(found)
