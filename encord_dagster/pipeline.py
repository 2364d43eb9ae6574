"""From listed exports to a published version: read, validate, convert, publish. No Dagster, no bucket names."""

from collections import Counter
from collections.abc import Collection, Sequence

from encord_dagster import layout
from encord_dagster.config import LabelSetConfig
from encord_dagster.encord.notes import quote
from encord_dagster.errors import UsageError, VersionGone
from encord_dagster.intake import Progress
from encord_dagster.label_set import history
from encord_dagster.label_set.history import Head
from encord_dagster.label_set.ids import IdsTaken
from encord_dagster.label_set.join import State
from encord_dagster.label_set.quarantine import held_in_quarantine
from encord_dagster.landing import Export
from encord_dagster.outcomes import Batch, ExportOutcome, Published
from encord_dagster.process import rare_collection
from encord_dagster.run import Replay, Run
from encord_dagster.spool import Spool
from encord_dagster.storage.protocol import ObjectStore
from encord_dagster.storage.selftest import refuse_unsafe
from encord_dagster.workers import Find, nobody


def ingest(
    exports: Sequence[Export],
    *,
    landing: ObjectStore,
    lake: ObjectStore,
    config: LabelSetConfig,
    publish: bool = True,
    progress: Progress | None = None,
    workers: Find = nobody,
) -> Batch:
    """Bring exports into a label set as at most one new version. A bad export stops only itself.

    Without `publish` each export is converted for itself, and no version accounts for it. `workers` may read and
    convert rows ahead; the label set is the same, byte for byte.

    Raises StorageError where the lake fails, UnsafeStore where it has no create-only writes, HistoryDamaged where its
    log is altered, UsageError where a newer converter made its newest version.
    """
    if exports:  # the probe stays, so a schedule that finds nothing new must not leave one
        refuse_unsafe(lake, prefix=layout.probe(config.name))
    say = progress or (lambda _: None)
    with Spool() as spool, rare_collection():
        if publish:
            return _published(exports, landing, lake, config, spool, say, workers=workers)
        run = Run(landing, lake, config, spool, ids={}, publish=False, say=say, workers=workers)
        return Batch(outcomes=tuple(run.read(export) for export in _in_order(exports)), published=None)


def replay(
    *,
    lake: ObjectStore,
    config: LabelSetConfig,
    landing: ObjectStore | None = None,
    export_ids: Collection[str] | None = None,
    progress: Progress | None = None,
) -> Batch:
    """Read again what is in quarantine, all of it or of some exports, and publish what can be used now.

    The bytes are the copies in the lake. With `landing` an ontology that lies there now decides over the one of then.
    What is still unusable stays. Raises as `ingest` does, and UsageError for an export that has nothing there.
    """
    held = {record.export.id: record for record in held_in_quarantine(lake, config.name)}
    wanted = frozenset(held if export_ids is None else export_ids)
    if unknown := sorted(wanted - held.keys()):
        named = ", ".join(map(quote, unknown[:10]))
        raise UsageError(f"label set {config.name!r} has nothing of {named} in quarantine; list what it has")
    if export_ids is None:  # of an export without a copy nothing can be read
        wanted = frozenset(key for key in wanted if held[key].raw and lake.head(layout.raw(held[key].raw)))
    with Spool() as spool, rare_collection():
        asked = Replay(wanted, landing)
        return _published((), landing or lake, lake, config, spool, progress or (lambda _: None), asked)


def _in_order(exports: Sequence[Export]) -> list[Export]:
    return sorted(exports, key=lambda export: export.id)


def _published(
    exports: Sequence[Export],
    landing: ObjectStore,
    lake: ObjectStore,
    config: LabelSetConfig,
    spool: Spool,
    say: Progress,
    asked: Replay | None = None,
    workers: Find = nobody,
) -> Batch:
    """What became of exports, or of those that were asked for again, and the version that accounts for them."""
    ids: dict[str, int] = {}
    outcomes: list[ExportOutcome] = []
    told: list[Published | None] = []

    def attempt() -> Head | None:
        try:
            run = Run(landing, lake, config, spool, ids=ids, publish=True, say=say, replay=asked, workers=workers)
            read = [run.read(export) for export in _in_order(exports)]
            read += [run.again[key] for key in sorted(asked.exports) if key in run.again] if asked else []
            head = run.commit()
            told[:] = [published(lake, config.name, head)] if head else []
        except IdsTaken as taken:
            ids.update(taken.numbers)
            return None
        except VersionGone:  # the head was overtaken, and gc dropped its version: there is a newer one
            return None
        outcomes[:] = run.settled(read, head) if head else []
        return head

    history.committed(lake, attempt)
    return Batch(outcomes=tuple(outcomes), published=told[0])


def published(lake: ObjectStore, name: str, head: Head) -> Published | None:
    """The head for people; None in an empty label set."""
    record = head.record
    if record is None:
        return None
    root = State(lake, head).published
    coco = root.files.get("annotations/instances.json") if root else None
    counts: Counter[str] = Counter()
    for count in root.classes if root else ():
        counts[count.name] += count.objects
    return Published(
        seq=record.seq,
        version=record.version,
        op=record.op,
        content_digest=record.content_digest,
        manifest_digest=record.root.sha256 if record.root else "",
        rows=root.rows if root else 0,
        images=root.images if root else 0,
        annotations=root.annotations if root else 0,
        classes=dict(counts),
        losses=root.losses if root else {},
        findings=record.findings,
        held=record.held is not None,
        held_findings=record.held_findings,
        uri=f"{lake.url}/{layout.log(name, record.seq)}",
        coco_uri=f"{lake.url}/{coco.key}" if coco else None,
    )
