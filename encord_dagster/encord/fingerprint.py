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
_Json = str | int | float | bool | None | list["_Json"] | dict[str, "_Json"]


def fingerprint(raw: bytes) -> str:
    """sha256 hex of a row without volatile keys, nulls, `isDeleted: false`, key order and number or list spelling.

    A row that is not JSON has the sha256 of its bytes.
    """
    try:
        document: _Json = json.loads(raw.decode("utf-8", "surrogateescape"))
        text = json.dumps(_canonical(document), sort_keys=True, separators=(",", ":"))
    except (ValueError, RecursionError):
        return hashlib.sha256(raw).hexdigest()
    return hashlib.sha256(text.encode()).hexdigest()


def _canonical(value: _Json) -> _Json:
    if isinstance(value, float):
        return int(value) if value.is_integer() and abs(value) < 2**53 else value
    if isinstance(value, list):
        return [_canonical(child) for child in value]
    if not isinstance(value, dict):
        return value
    kept = {
        key: _canonical(child)
        for key, child in value.items()
        if child is not None and key not in _VOLATILE and not (child is False and key == "isDeleted")
    }
    if "0" not in kept:
        return kept or []
    indices = [str(index) for index in range(len(kept))]
    return [kept[key] for key in indices] if all(key in kept for key in indices) else kept
