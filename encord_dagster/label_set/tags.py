"""Names that operators give to versions: created once, never moved."""

import re

import msgspec

from encord_dagster import layout
from encord_dagster.errors import HistoryDamaged, UsageError
from encord_dagster.label_set import condemned, history
from encord_dagster.label_set.manifest import FORMAT_VERSION, ObjectRef, encode
from encord_dagster.storage.protocol import Create, ObjectStore

NAME = re.compile(r"(?![0-9]+$)(?!latest$)[A-Za-z0-9][A-Za-z0-9._-]{0,62}")  # not what else names a version


class Tag(msgspec.Struct, frozen=True, kw_only=True):
    """One version by name; `seq` is the record that made it."""

    format_version: int = FORMAT_VERSION
    name: str
    seq: int
    version: int
    root: ObjectRef
    content_digest: str


def tag(lake: ObjectStore, name: str, tag: str, version: int) -> Tag:
    """Name a version, for good.

    Raises:
        UsageError: the name stands for another version, or there is no such version.
        VersionGone: a garbage collection dropped the version, or does so now; then the name is used up all the same.
    """
    if not NAME.fullmatch(tag):
        raise UsageError(
            f"tag {tag!r}: use letters, digits, dots, _ and -, at most 63, letter or digit first, not digits alone and "
            "not latest"
        )
    found = history.first_of(lake, name, history.head(lake, name), version)
    made = found.record if found else None
    if made is None or made.root is None:
        raise UsageError(f"label set {name!r} of {lake.url} has no version {version}")
    condemned.refuse(lake, made.root.key)  # no name is used up for what is gone
    new = Tag(name=tag, seq=made.seq, version=version, root=made.root, content_digest=made.content_digest)
    if lake.create(layout.tag(name, tag), encode(new)) is Create.DIFFERENT:
        there = read_tag(lake, name, tag)
        stands = f"version {there.version}" if there else "something else"
        raise UsageError(f"tag {tag!r} stands for {stands}, and tags do not move; choose another name")
    condemned.refuse(lake, made.root.key)  # one that committed since may have looked at the tags before this one came
    return new


def read_tag(lake: ObjectStore, name: str, tag: str) -> Tag | None:
    """What a tag stands for, None where there is none."""
    return _read(lake, layout.tag(name, tag)) if NAME.fullmatch(tag) else None


def tags(lake: ObjectStore, name: str) -> list[Tag]:
    """All tags of a label set, by name."""
    found = [_read(lake, info.key) for info in lake.list(layout.tags(name))]
    return [one for one in found if one]


def _read(lake: ObjectStore, key: str) -> Tag | None:
    data = lake.get(key)
    if data is None:
        return None
    try:
        return msgspec.json.decode(data, type=Tag)
    except msgspec.DecodeError as error:
        raise HistoryDamaged(f"{lake.url}: {key} is not a tag: {error}; restore it") from error
