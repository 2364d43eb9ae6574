"""One digest per label row that changes with its labels and not with the export that carried it.

Published versions compare these digests, so this module must give the same digest for the same bytes for ever:
it uses the standard library only and knows nothing of the reader's types.
"""

import hashlib
import json
from collections import Counter

VOLATILE = frozenset(
    {
        "export_hash",
        "exported_at",
        "export_history",
        "created_at",
        "last_edited_at",
        "createdAt",
        "lastEditedAt",
        "createdBy",
        "lastEditedBy",
        "user_email",
        "assigned_user_email",
        "reviews",
        "data_link",
        "data_links",
        "video_link",
        "image_sequence_link",
        "file_uri",
    }
)
_Json = str | float | bool | None | list["_Json"] | dict[str, "_Json"]


class DuplicateKey(Exception):
    """An object of the row has `key` twice. Readers of JSON keep one of the two values, and it is not said which."""

    def __init__(self, key: str) -> None:
        super().__init__(key)
        self.key = key


def fingerprint(raw: bytes) -> str:
    """sha256 hex of a row without volatile keys, nulls, `isDeleted: false`, key order and number or list spelling.

    Numbers count as 64-bit floats: whole ones above 2**53 are told apart only roughly. A row that is not JSON has
    the sha256 of its bytes. Raises DuplicateKey, and RecursionError where the row is nested too deep to be read.
    """
    try:
        text = canonical_text(raw)
    except ValueError:
        return digest(raw)
    return digest(text.encode())


def canonical_text(raw: bytes) -> str:
    """JSON as it counts, in ASCII. Raises as `fingerprint` does, and ValueError where it is not JSON."""
    # Whole numbers as floats: 1 and 1.0 are one number. The hook sees inner objects before outer ones.
    value = json.loads(raw.decode("utf-8", "surrogateescape"), parse_int=float, object_pairs_hook=canonical_object)
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def digest(data: bytes) -> str:
    """What stands in for the fingerprint of bytes that are no clear row."""
    return hashlib.sha256(data).hexdigest()


def outermost_keys(raw: bytes) -> list[str]:
    """The keys of the row itself, each as often as it is there."""
    pairs = json.loads(raw.decode("utf-8", "surrogateescape"), parse_int=float, object_pairs_hook=list)
    return [key for key, _ in pairs]


def canonical_object(pairs: list[tuple[str, _Json]]) -> _Json:
    """An object without what does not count; a list where it is keyed by index or empty."""
    value = dict(pairs)
    if len(value) != len(pairs):
        raise DuplicateKey(Counter(key for key, _ in pairs).most_common(1)[0][0])
    if not VOLATILE.isdisjoint(value) or None in value.values() or value.get("isDeleted") is False:
        value = {
            key: child
            for key, child in value.items()
            if child is not None and key not in VOLATILE and not (child is False and key == "isDeleted")
        }
    if not value:
        return []
    if "0" not in value:
        return value
    indices = [str(index) for index in range(len(value))]
    return [value[key] for key in indices] if all(key in value for key in indices) else value
