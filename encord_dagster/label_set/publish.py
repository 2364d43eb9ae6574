"""A new version out of a head and changed rows: shards, buckets, root, and the record that commits them."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence

import msgspec

from encord_dagster.config import CONVERTER_VERSION, LabelSetConfig
from encord_dagster.errors import IdClash
from encord_dagster.findings import Finding
from encord_dagster.formats import losses
from encord_dagster.formats.fragment import Category, ClassCount, Fragment
from encord_dagster.label_set import document, history, ids, manifest, objects, shards
from encord_dagster.label_set.compare import compare
from encord_dagster.label_set.history import Head
from encord_dagster.label_set.join import State
from encord_dagster.label_set.manifest import BucketRef, BucketRow, ExportEntry, LogRecord, ObjectRef, Root
from encord_dagster.validation import apply_severities

LoadFragment = Callable[[str], Fragment]


class Changes(msgspec.Struct, frozen=True, kw_only=True):
    """What a run brings: rows by identity, how to load their fragments, and what these were converted with."""

    rows: Mapping[str, BucketRow]
    load: LoadFragment
    categories: Mapping[str, Category]
    defined: Mapping[str, Category]  # as ontologies describe them, whether or not objects have them
    id_overrides: Mapping[str, int]
    datasets: frozenset[str]


def publish(state: State, *, config: LabelSetConfig, changes: Changes, exports: Sequence[ExportEntry]) -> Head | None:
    """Commit changes on top of the state; None where another publisher was faster.

    With no change the record is an `observe`: the exports are accounted for, and the version stays. Raises IdsTaken
    where converted records share ids.
    """
    old = state.head.record
    made_anew = state.root is not None and state.root.config_digest != config.digest()
    root, written = _root(state, config, changes) if changes.rows or made_anew else (None, 0)
    published = root is not None and (old is None or root.content_digest != old.content_digest)
    ref, digest = (old.root, old.content_digest) if old else (None, manifest.content_digest({}, config.digest()))
    findings = old.findings if old else ()
    if root and published:
        ref, digest = objects.write(state.lake, config.name, _epoch(state), manifest.encode(root)), root.content_digest
        findings = _suspicions(state, config, root)
    record = LogRecord(
        format_version=manifest.FORMAT_VERSION,
        seq=state.head.seq + 1,
        version=(old.version if old else 0) + (1 if published else 0),
        op="publish" if published else "observe",
        previous=state.head.digest,
        epoch=_epoch(state),
        root=ref,
        content_digest=digest,
        config_digest=config.digest(),
        converter_version=CONVERTER_VERSION,
        exports=tuple(exports),
        fragments=sum(1 for row in changes.rows.values() if row.fragment) if published else 0,
        buckets=written if published else 0,
        findings=findings,
    )
    return history.commit(state.lake, config.name, record)


def _suspicions(state: State, config: LabelSetConfig, root: Root) -> tuple[Finding, ...]:
    """What is odd about a new version beside the one that readers see now."""
    return apply_severities(compare(state.published, root, config.thresholds), config.severities)


def _epoch(state: State) -> int:
    return state.head.record.epoch if state.head.record else 0


def _root(state: State, config: LabelSetConfig, changes: Changes) -> tuple[Root, int]:
    """The root of the next version, and how many buckets were written for it."""
    old = state.root or _nothing(config)
    before = {key: row for key in changes.rows if (row := state.row(key))}
    rows = old.rows + len(changes.rows) - len(before)
    length = manifest.prefix_length(rows, at_least=old.prefix_length)
    numbers = ids.Written()
    written = _write_buckets(state, config.name, length, changes, numbers)
    buckets = (old.buckets if old.prefix_length == length else {}) | written
    classes = _classes(old.classes, before.values(), changes.rows.values())

    before_defined = {one.feature_hash: one for one in old.categories if one.feature_hash in old.defined}
    defined = {**before_defined, **changes.defined}

    def gained(count: Callable[[BucketRow], int]) -> int:
        return sum(map(count, changes.rows.values())) - sum(map(count, before.values()))

    root = Root(
        format_version=manifest.FORMAT_VERSION,
        content_digest=manifest.content_digest(buckets, config.digest()),
        config_digest=config.digest(),
        prefix_length=length,
        buckets=dict(sorted(buckets.items())),
        categories=_categories(classes, changes.categories, defined),
        defined=tuple(sorted(defined)),
        classes=classes,
        datasets=tuple(sorted({*old.datasets, *changes.datasets})),
        id_overrides=dict(sorted(changes.id_overrides.items())),
        files={},
        rows=rows,
        tombstones=old.tombstones + gained(lambda row: row.fragment is None),
        images=old.images + gained(lambda row: row.images),
        annotations=old.annotations + gained(lambda row: row.annotations),
        coco_rows=old.coco_rows + gained(lambda row: row.source == "coco"),
        losses=_losses(old.losses, before.values(), changes.rows.values()),
    )
    return _with_files(state, config, root, numbers), len(written)


def _nothing(config: LabelSetConfig) -> Root:
    return Root(
        format_version=manifest.FORMAT_VERSION,
        content_digest="",
        config_digest=config.digest(),
        prefix_length=0,
        buckets={},
        categories=(),
        classes=(),
        datasets=(),
        id_overrides={},
        files={},
        rows=0,
        tombstones=0,
        images=0,
        annotations=0,
    )


def _with_files(state: State, config: LabelSetConfig, root: Root, numbers: ids.Written) -> Root:
    """The root with its plain files; none where ids clash that were published so. IdsTaken where new ones clash."""
    clash, files = numbers.shared(), dict[str, ObjectRef]()
    try:
        files = _plain_files(state, config, root)
    except IdClash:
        clash = True
    if clash and (more := ids.renumbered(state.lake, before=state.published, after=root)) != root.id_overrides:
        raise ids.IdsTaken(more)
    files[losses.FILE] = objects.write(state.lake, config.name, _epoch(state), losses.report(root.losses))
    return msgspec.structs.replace(root, files=files)


def _write_buckets(
    state: State, name: str, length: int, changes: Changes, numbers: ids.Written
) -> dict[str, BucketRef]:
    """Write the buckets that changes touch, or all of them where the set has grown past its prefix length."""
    old = state.root
    split = old is not None and old.prefix_length != length
    by_prefix: dict[str, dict[str, BucketRow]] = defaultdict(dict)
    for prefix in old.buckets if old and split else ():
        bucket = state.bucket(prefix)
        for row in bucket.rows if bucket else ():
            by_prefix[row.row[:length]][row.row] = row
    for key, changed in changes.rows.items():
        by_prefix[key[:length]][key] = changed
    written: dict[str, BucketRef] = {}
    for prefix, touched in sorted(by_prefix.items()):
        held = state.bucket(prefix[: old.prefix_length]) if old else None
        rows = {row.row: row for row in (held.rows if held else ()) if row.row.startswith(prefix)} | touched
        ordered = [rows[key] for key in sorted(rows)]
        fresh = {row.row: changes.load(row.fragment) for row in ordered if row.fragment and row.row in changes.rows}
        parts = shards.merged(ordered, fresh, [shards.open_bucket(state.lake, held)] if held else [])
        numbers.add(parts.tables)
        ref = shards.write_bucket(state.lake, name, _epoch(state), ordered, parts)
        size = sum(len(line) for line in parts.coco.values())
        digest = manifest.tree_digest(ordered, length)
        written[prefix] = BucketRef(ref=ref, rows=len(ordered), digest=digest, coco_size=size)
    return written


def _classes(
    held: Iterable[ClassCount], before: Iterable[BucketRow], after: Iterable[BucketRow]
) -> tuple[ClassCount, ...]:
    """Objects by class and name: what was held, without the rows before, with the rows after the change."""
    counts: dict[tuple[str, str], ClassCount] = {}

    def add(count: ClassCount, sign: int) -> None:
        key = (count.feature_hash, count.name)
        objects = (counts[key].objects if key in counts else 0) + sign * count.objects
        counts[key] = msgspec.structs.replace(count, objects=objects)

    for count in held:
        add(count, 1)
    for rows, sign in ((before, -1), (after, 1)):
        for row in rows:
            for count in row.classes:
                add(count, sign)
    return tuple(counts[key] for key in sorted(counts) if counts[key].objects)


def _losses(held: Mapping[str, int], before: Iterable[BucketRow], after: Iterable[BucketRow]) -> dict[str, int]:
    """Losses by code: what was held, without the rows before, with the rows after the change."""
    counts = Counter(held)
    for row in before:
        counts.subtract(row.losses)
    for row in after:
        counts.update(row.losses)
    return {code: counts[code] for code in sorted(counts) if counts[code]}


def _categories(
    classes: Sequence[ClassCount], claimed: Mapping[str, Category], defined: Mapping[str, Category]
) -> tuple[Category, ...]:
    """The categories of a version, by id: as an ontology describes them, else named as most of their objects are."""
    names: dict[str, tuple[int, str]] = {}
    for count in classes:
        rank = (-count.objects, count.name)
        names[count.feature_hash] = min(names.get(count.feature_hash, rank), rank)
    used = {key: msgspec.structs.replace(claimed[key], name=names[key][1]) for key in names}
    return tuple(sorted((used | dict(defined)).values(), key=lambda category: category.id))


def _plain_files(state: State, config: LabelSetConfig, root: Root) -> dict[str, ObjectRef]:
    if sum(ref.coco_size for ref in root.buckets.values()) > config.inline_coco_bytes:
        return {}
    data = b"".join(document.coco_document(state.lake, root))
    return {document.INSTANCES: objects.write(state.lake, config.name, _epoch(state), data)}
