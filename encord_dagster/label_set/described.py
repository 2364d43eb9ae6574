"""The files of a version that say what it is and where it comes from: `croissant.json` and `prov.jsonld`.

They are among the root's files and no part of the content digest. They name the version's number, the exports that its
commit accounts for and the content that it was built on. So two lakes that got the same exports in another order, and
have the same content in the end, can have other bytes here and another root, as they can by the numbers of categories
and by the version that a row came with; the content digest is what tells that two versions are the same. Whoever
publishes the same exports on the same head writes the same bytes. Exports that a later observe accounts for are in the
log alone: a version is never written anew.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from encord_dagster.config import CONVERTER_VERSION, LabelSetConfig
from encord_dagster.formats import croissant, provenance
from encord_dagster.formats.croissant import File
from encord_dagster.formats.provenance import About, Origin
from encord_dagster.label_set import objects
from encord_dagster.label_set.join import State
from encord_dagster.label_set.manifest import ExportEntry, LogRecord, ObjectRef, Root, sha256

FILES = (croissant.FILE, provenance.FILE)


def described(state: State, config: LabelSetConfig, root: Root, exports: Sequence[ExportEntry]) -> Root:
    """A new version's root with the files that describe it."""
    old = state.head.record
    about = _about(
        config.name,
        root,
        version=(old.version if old else 0) + 1,
        converter_version=CONVERTER_VERSION,
        parent=old.content_digest if old and old.root else None,
        exports=exports,
    )
    epoch = old.epoch if old else 0
    known = {name: File(ref.sha256, ref.size) for name, ref in root.files.items()}
    refs: dict[str, ObjectRef] = {}
    for name, data in _documents(about, known, masks=config.masks).items():
        refs[name] = objects.write(state.lake, config.name, epoch, data)
    return msgspec.structs.replace(root, files=root.files | refs)


def checkout_documents(
    name: str, record: LogRecord, root: Root, *, parent: str | None, folder: Path, paths: Sequence[Path]
) -> dict[str, bytes]:
    """Both files for a checkout whose other files are `paths`: with the sha256 of each of them but the masks.

    `record` is the one that made the version, `parent` the content digest of the record before where it has a root.
    """
    about = _about(
        name,
        root,
        version=record.version,
        converter_version=record.converter_version,
        parent=parent,
        exports=record.exports,
    )
    inside = {path.relative_to(folder).as_posix(): path for path in paths}
    masks = any(place.startswith("masks/") for place in inside)
    known = {
        place: _file(path.read_bytes())
        for place, path in inside.items()
        if not place.startswith("masks/") and place not in FILES
    }
    return _documents(about, known, masks=masks)


def _file(data: bytes) -> File:
    return File(sha256(data), len(data))


def _documents(about: About, known: Mapping[str, File], *, masks: bool) -> dict[str, bytes]:
    origin = provenance.document(about)
    known = {**known, provenance.FILE: _file(origin)}
    return {croissant.FILE: croissant.document(about, known, masks=masks), provenance.FILE: origin}


def _about(
    name: str,
    root: Root,
    *,
    version: int,
    converter_version: int,
    parent: str | None,
    exports: Sequence[ExportEntry],
) -> About:
    return About(
        name=name,
        version=version,
        content_digest=root.content_digest,
        config_digest=root.config_digest,
        converter_version=converter_version,
        rows=root.rows,
        images=root.images,
        annotations=root.annotations,
        parent=parent,
        exports=tuple(
            Origin(
                sha256=entry.sha256,
                events=entry.events.sha256,
                rows=entry.rows,
                export_hashes=entry.export_hashes,
                export_hash_count=entry.export_hash_count,
            )
            for entry in exports
        ),
    )
