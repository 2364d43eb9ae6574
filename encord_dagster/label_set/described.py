"""The files of a version that say what it is and where it comes from: `croissant.json` and `prov.jsonld`.

They are among the root's files and no part of the content digest. They name the version's number, the exports that its
commit accounts for and the content that it was built on. So two lakes that got the same exports in another order, and
have the same content in the end, can have other bytes here and another root, as they can by the numbers of categories
and by the version that a row came with; the content digest is what tells that two versions are the same. Whoever
publishes the same exports on the same head writes the same bytes. Exports that a later observe accounts for are in the
log alone: a version is never written anew.
"""

from collections.abc import Sequence

import msgspec

from encord_dagster.config import CONVERTER_VERSION, LabelSetConfig
from encord_dagster.formats import croissant, provenance
from encord_dagster.formats.croissant import File
from encord_dagster.formats.provenance import About, Origin
from encord_dagster.label_set import objects
from encord_dagster.label_set.join import State
from encord_dagster.label_set.manifest import ExportEntry, ObjectRef, Root

FILES = (croissant.FILE, provenance.FILE)


def described(state: State, config: LabelSetConfig, root: Root, exports: Sequence[ExportEntry]) -> Root:
    """A new version's root with the files that describe it."""
    old = state.head.record
    about = About(
        name=config.name,
        version=(old.version if old else 0) + 1,
        content_digest=root.content_digest,
        config_digest=root.config_digest,
        converter_version=CONVERTER_VERSION,
        rows=root.rows,
        images=root.images,
        annotations=root.annotations,
        parent=old.content_digest if old and old.root else None,
        exports=tuple(map(_origin, exports)),
    )

    def write(data: bytes) -> ObjectRef:
        return objects.write(state.lake, config.name, old.epoch if old else 0, data)

    files = {**root.files, provenance.FILE: write(provenance.document(about))}
    known = {name: File(ref.sha256, ref.size) for name, ref in files.items()}
    files[croissant.FILE] = write(croissant.document(about, known, masks=config.masks))
    return msgspec.structs.replace(root, files=files)


def _origin(entry: ExportEntry) -> Origin:
    return Origin(
        sha256=entry.sha256,
        events=entry.events.sha256,
        rows=entry.rows,
        export_hashes=entry.export_hashes,
        export_hash_count=entry.export_hash_count,
    )
