"""The annotations of label rows in shards, whichever converter wrote them."""

from collections.abc import Iterable
from typing import Any

import msgspec

from encord_dagster.formats.coco import Annotation

_ANNOTATIONS = msgspec.json.Decoder(tuple[Annotation, ...])
_EARLIER = msgspec.json.Decoder(list[dict[str, Any]])


def listed(records: Iterable[msgspec.Raw]) -> bytes:
    """Records as a JSON list."""
    return b"[" + b",".join(records) + b"]"


def read(records: Iterable[msgspec.Raw]) -> tuple[Annotation, ...]:
    """Annotations out of their JSON. Converters before 3 had the score in `attributes`, as `confidence`."""
    data = listed(records)
    try:
        return _ANNOTATIONS.decode(data)
    except msgspec.ValidationError:
        earlier = _EARLIER.decode(data)
        for one in earlier:
            one.setdefault("score", one["attributes"].get("confidence"))
        return msgspec.convert(earlier, tuple[Annotation, ...])
