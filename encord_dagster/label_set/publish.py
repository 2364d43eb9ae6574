"""A new version out of a head and changed rows: shards, buckets, root, and the record that commits them."""

import sys
from collections.abc import Callable, Mapping, Sequence

import msgspec

from encord_dagster.config import CONVERTER_VERSION, LabelSetConfig
from encord_dagster.errors import IdClash
from encord_dagster.findings import Finding
from encord_dagster.formats import losses
from encord_dagster.formats.fragment import Category, Fragment
from encord_dagster.label_set import accounted, document, ids, manifest, objects, shards, totals, tree
from encord_dagster.label_set.buckets import Buckets, LoadFragment
from encord_dagster.label_set.compare import compare
from encord_dagster.label_set.described import described
from encord_dagster.label_set.history import Head
from encord_dagster.label_set.join import State
from encord_dagster.label_set.manifest import BucketRef, BucketRow, ExportEntry, LogRecord, ObjectRef, Root
from encord_dagster.label_set.rewritten import rewritten
from encord_dagster.storage.local import Piece
from encord_dagster.validation import apply_severities


class Changes(msgspec.Struct, frozen=True, kw_only=True):
    """What a run brings: rows by identity, how to load their fragments, and what these were converted with."""

    rows: Mapping[str, BucketRow]
    removed: frozenset[str] = frozenset()  # rows that the version has and the next one has not
    load: LoadFragment
    categories: Mapping[str, Category]
    defined: Mapping[str, Category]  # as ontologies describe them, whether or not objects have them
    id_overrides: Mapping[str, int]
    datasets: frozenset[str]


class Terms(msgspec.Struct, frozen=True):
    """What of the configuration takes part in making a root."""

    name: str
    config_digest: str
    inline_coco_bytes: int


def publish(state: State, *, config: LabelSetConfig, changes: Changes, exports: Sequence[ExportEntry]) -> Head | None:
    """Commit changes on top of the state; None where another publisher was faster.

    With no change, or where the next version is held back, the record is an `observe`: the exports are accounted
    for, and readers keep the version that they have. Raises IdsTaken where converted records share ids.
    """
    old = state.head.record
    root, written = _candidate(state, config, changes)
    changed = root is not None and (old is None or root.content_digest != old.content_digest)
    record = LogRecord(
        format_version=manifest.FORMAT_VERSION,
        seq=state.head.seq + 1,
        version=old.version if old else 0,
        op="observe",
        previous=state.head.digest,
        epoch=epoch(state),
        root=old.root if old else None,
        content_digest=old.content_digest if old else manifest.content_digest({}, config.digest()),
        config_digest=config.digest(),
        converter_version=CONVERTER_VERSION,
        exports=tuple(exports),
        fragments=sum(1 for row in changes.rows.values() if row.fragment) if changed else 0,
        buckets=written if changed else 0,
        findings=old.findings if old else (),
        content=config.content,
        blocked=old.blocked if old else (),
        retired=old.retired if old else None,
    )
    if root and changed:
        record = _judged(state, config, root, record)
    return accounted.commit(state.lake, config.name, record)


def _candidate(state: State, config: LabelSetConfig, changes: Changes) -> tuple[Root | None, int]:
    """The root of what the label set now comes to, and how many buckets were written for it."""
    made_anew = state.root is not None and state.root.config_digest != config.digest()
    if not (changes.rows or changes.removed or made_anew):
        return state.root, 0
    return next_root(state, Terms(config.name, config.digest(), config.inline_coco_bytes), changes)


def _judged(state: State, config: LabelSetConfig, root: Root, record: LogRecord) -> LogRecord:
    """The record that publishes a root, or holds it back where it looks too suspicious."""
    findings = _suspicions(state, config, root)
    if any(finding.severity == "error" and finding.rule in config.hold_back for finding in findings):
        held = objects.write(state.lake, config.name, epoch(state), manifest.encode(root))
        return msgspec.structs.replace(record, held=held, held_findings=findings)
    root = described(state, config, root, record.exports)
    return msgspec.structs.replace(
        record,
        version=record.version + 1,
        op="publish",
        root=objects.write(state.lake, config.name, epoch(state), manifest.encode(root)),
        content_digest=root.content_digest,
        findings=findings,
    )


def _suspicions(state: State, config: LabelSetConfig, root: Root) -> tuple[Finding, ...]:
    """What is odd about a new version beside the one that readers see now."""
    return apply_severities(compare(state.published, root, config.thresholds), config.severities)


def epoch(state: State) -> int:
    """The epoch that new objects belong to."""
    return state.head.record.epoch if state.head.record else 0


def without(state: State, root: Root, name: str, rows: frozenset[str]) -> tuple[Root, int]:
    """A root without some of its rows, and how many buckets were written for it; nothing else of it changes."""
    state.build_on(root)
    changes = Changes(
        rows={},
        removed=rows,
        load=_nothing_to_load,
        categories={category.feature_hash: category for category in root.categories},
        defined={},
        id_overrides=root.id_overrides,
        datasets=frozenset(),
    )
    largest = sys.maxsize if document.INSTANCES in root.files else -1  # what is taken out makes no file larger
    return next_root(state, Terms(name, root.config_digest, largest), changes)


def _nothing_to_load(fragment: str) -> Fragment:
    raise KeyError(fragment)


def next_root(state: State, terms: Terms, changes: Changes) -> tuple[Root, int]:
    """The root of the next version, and how many buckets were written for it."""
    old = state.root or _nothing(terms)
    before = {key: row for key in (*changes.rows, *changes.removed) if (row := state.row(key))}
    rows = old.rows + len(changes.rows) - len(before)

    def gained(count: Callable[[BucketRow], int]) -> int:
        return sum(map(count, changes.rows.values())) - sum(map(count, before.values()))

    annotations = old.annotations + gained(lambda row: row.annotations)
    length = manifest.prefix_length(rows, annotations, at_least=old.prefix_length)
    numbers, written = ids.Written(), dict[str, BucketRef]()
    changed = Buckets(
        state,
        name=terms.name,
        epoch=epoch(state),
        length=length,
        rows=changes.rows,
        removed=changes.removed,
        load=changes.load,
    )
    for prefix, ref, made in changed.write():
        written[prefix] = ref
        numbers.add(made)
    emptied = {key[:length] for key in changes.removed} - set(written)

    def write(data: bytes) -> ObjectRef:
        return objects.write(state.lake, terms.name, epoch(state), data)

    names = tree.grown(state.tree, {**dict.fromkeys(emptied), **written}, length=length, write=write)
    classes = totals.classes(old.classes, before.values(), changes.rows.values())

    before_defined = {one.feature_hash: one for one in old.categories if one.feature_hash in old.defined}
    defined = {**before_defined, **changes.defined}
    root = Root(
        format_version=manifest.FORMAT_VERSION,
        content_digest=manifest.content_digest(names.nodes or names.buckets, terms.config_digest),
        config_digest=terms.config_digest,
        prefix_length=length,
        buckets=names.buckets,
        nodes=names.nodes,
        categories=totals.categories(classes, changes.categories, defined),
        defined=tuple(sorted(defined)),
        classes=classes,
        datasets=tuple(sorted({*old.datasets, *changes.datasets})),
        id_overrides=dict(sorted(changes.id_overrides.items())),
        files={},
        rows=rows,
        tombstones=old.tombstones + gained(lambda row: row.fragment is None),
        images=old.images + gained(lambda row: row.images),
        annotations=annotations,
        coco_rows=old.coco_rows + gained(lambda row: row.source == "coco"),
        losses=totals.losses(old.losses, before.values(), changes.rows.values()),
        rules=totals.rules(old.rules, before.values(), changes.rows.values()),
    )
    return _with_files(state, terms, root, numbers, changes), len(written)


def _nothing(terms: Terms) -> Root:
    return Root(
        format_version=manifest.FORMAT_VERSION,
        content_digest="",
        config_digest=terms.config_digest,
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
        rules={},
    )


def _with_files(state: State, terms: Terms, root: Root, numbers: ids.Written, changes: Changes) -> Root:
    """The root with its plain files; none where ids clash that were published so. IdsTaken where new ones clash."""
    clash, files = numbers.shared(), dict[str, ObjectRef]()
    try:
        files = _plain_files(state, terms, root, changes)
    except IdClash:
        clash = True
    if clash and (more := ids.renumbered(state.lake, before=state.published, after=root)) != root.id_overrides:
        raise ids.IdsTaken(more)
    files[losses.FILE] = objects.write(state.lake, terms.name, epoch(state), losses.report(root.losses))
    return msgspec.structs.replace(root, files=files)


def _plain_files(state: State, terms: Terms, root: Root, changes: Changes) -> dict[str, ObjectRef]:
    if sum(named.coco_size for named in tree.upper(root).values()) > terms.inline_coco_bytes:
        return {}
    pieces = document.coco_document(state.lake, root, in_memory=terms.inline_coco_bytes)
    data = _rewritten(state, root, changes) or list(pieces)
    return {document.INSTANCES: objects.write_pieces(state.lake, terms.name, epoch(state), data)}


def _rewritten(state: State, root: Root, changes: Changes) -> list[Piece] | None:
    """The COCO file out of that of the root before, where few of its rows change."""
    gone = {*changes.removed, *changes.rows}
    if state.root is None or len(gone) * shards.PATCHED_SHARE > state.root.rows:
        return None
    fresh = {key: changes.load(row.fragment) for key, row in changes.rows.items() if row.fragment}
    return rewritten(state.lake, state.root, state.buckets(), root.categories, fresh=fresh, gone=gone)
