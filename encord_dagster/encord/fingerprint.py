"""One digest per label row that changes with its labels and not with the export that carried it.

Published versions compare these digests, so this module must give the same digest for the same bytes for ever:
it uses the standard library only and knows nothing of the reader's types.
"""

import hashlib
import json

_VOLATILE = frozenset(
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


def fingerprint(raw: bytes) -> str:
    """sha256 hex of a row without volatile keys, nulls, `isDeleted: false`, key order and number or list spelling.

    Numbers count as 64-bit floats: whole ones above 2**53 are told apart only roughly. A row that is not JSON has
    the sha256 of its bytes.
    """
    try:
        # Whole numbers as floats: 1 and 1.0 are one number. The hook sees inner objects before outer ones.
        row = json.loads(raw.decode("utf-8", "surrogateescape"), parse_int=float, object_hook=_canonical)
        text = json.dumps(row, sort_keys=True, separators=(",", ":"))
    except (ValueError, RecursionError):
        return hashlib.sha256(raw).hexdigest()
    return hashlib.sha256(text.encode()).hexdigest()


def _canonical(value: dict[str, _Json]) -> _Json:
    """An object without what does not count; a list where it is keyed by index or empty."""
    if not _VOLATILE.isdisjoint(value) or None in value.values() or value.get("isDeleted") is False:
        value = {
            key: child
            for key, child in value.items()
            if child is not None and key not in _VOLATILE and not (child is False and key == "isDeleted")
        }
    if not value:
        return []
    if "0" not in value:
        return value
    indices = [str(index) for index in range(len(value))]
    return [value[key] for key in indices] if all(key in value for key in indices) else value
