"""From listed exports to a published version: read, validate, convert, publish. No Dagster, no bucket names."""

import random
import time
from collections import Counter
from collections.abc import Sequence

from encord_dagster import layout
from encord_dagster.config import LabelSetConfig
from encord_dagster.errors import StorageError, VersionGone
from encord_dagster.label_set.history import Head
from encord_dagster.label_set.ids import IdsTaken
from encord_dagster.label_set.join import State
from encord_dagster.landing import Export
from encord_dagster.outcomes import Batch, Published
from encord_dagster.run import Progress, Run
from encord_dagster.spool import Spool
from encord_dagster.storage.protocol import ObjectStore
from encord_dagster.storage.selftest import refuse_unsafe

COMMIT_ATTEMPTS = 50


def ingest(
    exports: Sequence[Export],
    *,
    landing: ObjectStore,
    lake: ObjectStore,
    config: LabelSetConfig,
    publish: bool = True,
    progress: Progress | None = None,
) -> Batch:
    """Bring exports into a label set as at most one new version. A bad export stops only itself.

    Without `publish` each export is converted for itself, and no version accounts for it.

    Raises StorageError where the lake fails, UnsafeStore where it has no create-only writes, HistoryDamaged where its
    log is altered, UsageError where a newer converter made its newest version.
    """
    if exports:  # the probe stays, so a schedule that finds nothing new must not leave one
        refuse_unsafe(lake, prefix=layout.probe(config.name))
    ids: dict[str, int] = {}
    with Spool() as spool:
        for attempt in range(COMMIT_ATTEMPTS):
            try:
                run = Run(landing, lake, config, spool, ids=ids, publish=publish, say=progress or (lambda _: None))
                outcomes = [run.read(export) for export in sorted(exports, key=lambda export: export.id)]
                if not publish:
                    return Batch(outcomes=tuple(outcomes), published=None)
                if head := run.commit():
                    told = published(lake, config.name, head)
                    return Batch(outcomes=tuple(run.settled(outcomes, head)), published=told)
            except IdsTaken as taken:
                ids = taken.numbers
                continue
            except VersionGone:  # the head was overtaken, and gc dropped its version: there is a newer one
                continue
            time.sleep(random.uniform(0, 0.05 * (attempt + 1)))  # noqa: S311 - jitter between racing publishers
    raise StorageError(
        f"{lake.url}: lost the commit to other publishers {COMMIT_ATTEMPTS} times; run again when quieter"
    )


def published(lake: ObjectStore, name: str, head: Head) -> Published | None:
    """The head for people; None in an empty label set."""
    record = head.record
    if record is None or record.op not in ("publish", "observe"):
        return None
    root = State(lake, head).root
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
        uri=f"{lake.url}/{layout.log(name, record.seq)}",
        coco_uri=f"{lake.url}/{coco.key}" if coco else None,
    )
