"""Single values as exports write them: numbers as text, five words for "absent", booleans as words."""

import math
import re

import msgspec

Scalar = str | int | float | bool | None
Raw = msgspec.Raw
ABSENT = Raw(b"null")
UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)

HASH = re.compile(r"(?!(?:AKIA|ASIA|AROA|AIDA|GOOG)[0-9A-Z]{12})[0-9A-Za-z/+=_-]{1,64}")  # no access key
HASH_CHARACTERS = re.compile(r"[0-9A-Za-z/+=_-]*")
FRAME_NUMBER = re.compile(r"[0-9]{1,9}")
_NUMBER = re.compile(r"[+-]?(?:[0-9]{1,40}(?:\.[0-9]{0,40})?|\.[0-9]{1,40})(?:[eE][+-]?[0-9]{1,3})?")
_ABSENT_WORDS = frozenset({"", "null", "None", "none"})
_FLAGS = {"true": True, "false": False}


def present(value: Scalar) -> Scalar:
    """The value, or None where it is one of the words for absent."""
    return None if isinstance(value, str) and len(value) < 8 and value.strip() in _ABSENT_WORDS else value


def text(value: Scalar) -> str | None:
    """The value as text, None where absent; a number or boolean is not text."""
    value = present(value)
    return value if isinstance(value, str) else None


def is_hash(value: Scalar) -> bool:
    """Whether a value can be an Encord hash or uuid (base64-like: `/` and `+` occur)."""
    return isinstance(value, str) and HASH.fullmatch(value) is not None


def readable_hash(value: Scalar) -> str | None:
    """A hash for a location or an exclusion, None where it is none."""
    return text(value) if is_hash(value) else None


def number(value: Scalar) -> float | None:
    """A finite number, also from text; None for anything else."""
    if type(value) is float:
        return value if math.isfinite(value) else None
    if isinstance(value, str):
        value = value.strip()
        if not _NUMBER.fullmatch(value):
            return None
    elif isinstance(value, bool) or value is None:
        return None
    try:
        result = float(value)
    except OverflowError:
        return None
    return result if math.isfinite(result) else None


def integer(value: Scalar) -> int | None:
    """A whole number, also from text or a float without fraction; None for anything else."""
    result = number(value)
    return int(result) if result is not None and result.is_integer() and abs(result) <= 2**53 else None


def flag(value: Scalar) -> bool | None:
    """A boolean, also from the words true and false; None for anything else."""
    if isinstance(value, str):
        return _FLAGS.get(value.strip().lower())
    return value if isinstance(value, bool) else None
