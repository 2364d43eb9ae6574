"""Columns out of Python values without pandas, and functions of columns without `pyarrow.compute`.

`pyarrow.array` imports pandas for each value that it is given. That takes a quarter of a second, a tenth of what a
small run takes; with many values its speed outweighs it.
"""

import sys
from array import array as packed
from collections.abc import Sequence
from itertools import accumulate, chain
from typing import Any

import numpy as np
import pyarrow as pa

_left = [2_000_000]  # values; then pyarrow, four times as fast, makes up for the import
_CODES = {pa.int32(): "i", pa.int64(): "q", pa.float64(): "d"}


def array(values: Sequence[Any], kind: "pa.DataType") -> Any:  # an array of this type
    """The values as a column of this type, None as null.

    As `pyarrow.array(values, kind)`, for texts, truth values, numbers of 32 or 64 bits, bytes of one length, and lists
    of such. TypeError, ValueError or OverflowError for what is of another type or does not fit; of many values pyarrow
    would take bytes as text and round 1.5, so whoever calls this gives it what was read into typed records.
    """
    _left[0] -= len(values)
    if "pandas" in sys.modules or _left[0] < 0 or not _is_built(kind):
        return pa.array(values, kind)
    return _built(values, kind)


def compute(function: str, *values: Any) -> Any:
    """A function of `pyarrow.compute` by name, without options.

    That module takes 50 ms to import, as it makes all functions there are, and their documentation; this is the
    compiled part of it, which that calls.
    """
    from pyarrow._compute import call_function

    return call_function(function, list(values))


def _is_built(kind: "pa.DataType") -> bool:
    if isinstance(kind, pa.ListType):
        return _is_built(kind.value_type)
    return kind in _CODES or kind in (pa.string(), pa.bool_()) or isinstance(kind, pa.FixedSizeBinaryType)


def _built(values: Sequence[Any], kind: "pa.DataType") -> "pa.Array[Any]":
    mask = _bits([value is not None for value in values]) if None in values else None
    if isinstance(kind, pa.ListType):
        items = list(chain.from_iterable(value for value in values if value is not None))
        ends = accumulate(len(value) if value is not None else 0 for value in values)
        offsets, child = packed("i", [0, *ends]), _built(items, kind.value_type)
        return pa.Array.from_buffers(kind, len(values), [mask, pa.py_buffer(offsets)], children=[child])
    if kind == pa.string():
        texts = values if mask is None else ["" if value is None else value for value in values]
        text = "".join(texts)
        ends = accumulate(map(len, texts if text.isascii() else map(str.encode, texts)))
        buffers = [mask, pa.py_buffer(packed("i", [0, *ends])), pa.py_buffer(text.encode())]
    elif isinstance(kind, pa.FixedSizeBinaryType):
        size = kind.byte_width
        if any(value is not None and len(value) != size for value in values):
            raise ValueError(f"bytes of another length than {size}")
        buffers = [mask, pa.py_buffer(b"".join(bytes(size) if value is None else value for value in values))]
    elif kind == pa.bool_():
        buffers = [mask, _bits([_truth(value) for value in values])]
    else:
        filled = values if mask is None else [0 if value is None else value for value in values]
        buffers = [mask, pa.py_buffer(packed(_CODES[kind], filled))]
    return pa.Array.from_buffers(kind, len(values), buffers)


def _truth(value: object) -> bool:
    if value is not None and not isinstance(value, bool):
        raise TypeError(f"{value!r} is no truth value")
    return bool(value)


def _bits(flags: Sequence[bool]) -> "pa.Buffer":
    return pa.py_buffer(np.packbits(np.array(flags, np.bool_), bitorder="little").tobytes())
