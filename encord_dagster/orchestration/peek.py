"""A look at an export's bytes from the sensor: best effort, bounded, never a verdict."""

import hashlib
import re

from encord_dagster.encord.packed import glance
from encord_dagster.errors import AccessDenied, StorageError
from encord_dagster.landing import Export
from encord_dagster.orchestration.sweep import Sighting
from encord_dagster.storage.protocol import ObjectStore

WHOLE_UP_TO = 8 * 2**20
END_PIECE = 256 * 2**10
UNPACKED_UP_TO = 64 * 2**20  # of a packed export: more is not needed to learn a few hashes

_HISTORY = re.compile(rb'"export_history"\s*:\s*(?:\[[^\]]*\]|\{(?:[^{}]|\{[^{}]*\})*\})')
_HASH = re.compile(rb'"export_hash"\s*:\s*"([A-Za-z0-9_-]{4,64})"')


def peek(landing: ObjectStore, export: Export) -> Sighting:
    """Export hashes, and the digest where the object is small enough to be read whole.

    AccessDenied is raised: without read access no run could do better. Other failures are left to the run.
    """
    try:
        pieces = _pieces(landing, export)
    except AccessDenied:
        raise
    except StorageError:
        return Sighting(export=export, changed=_changed(landing, export))
    if pieces is None:
        return Sighting(export=export, changed=True)
    digest = hashlib.sha256(pieces[0]).hexdigest() if export.size <= WHOLE_UP_TO else None
    hashes = dict.fromkeys(found for piece in pieces for found in export_hashes(piece))
    return Sighting(export=export, hashes=tuple(hashes), sha256=digest)


def export_hashes(data: bytes) -> list[str]:
    """The export hashes of label rows in a piece of JSON, in order; those of earlier exports are left out."""
    data = glance(data, UNPACKED_UP_TO)
    return [found.decode() for found in dict.fromkeys(_HASH.findall(_HISTORY.sub(b"", data)))]


def _pieces(landing: ObjectStore, export: Export) -> list[bytes] | None:
    if export.size <= WHOLE_UP_TO:
        whole = landing.get(export.key, etag=export.etag)
        return None if whole is None else [whole]
    head = landing.get(export.key, etag=export.etag, end=END_PIECE)
    tail = landing.get(export.key, etag=export.etag, start=export.size - END_PIECE, end=export.size)
    return None if head is None or tail is None else [head, tail]


def _changed(landing: ObjectStore, export: Export) -> bool:
    """Whether the object is another one by now; if the store cannot say, it is taken to be the same."""
    try:
        info = landing.head(export.key)
    except StorageError:
        return False
    return info is None or info.etag != export.etag
