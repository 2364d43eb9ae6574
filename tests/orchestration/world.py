"""A label set's definitions over two stores in memory, with a pipeline that does as it is told."""

import itertools
from collections.abc import Sequence

import dagster as dg
import msgspec

from encord_dagster.config import LabelSetConfig
from encord_dagster.findings import Finding, Location
from encord_dagster.label_set.sources import record_source
from encord_dagster.landing import Export, exports_in
from encord_dagster.orchestration import names
from encord_dagster.orchestration.definitions import Options, build_label_set_definitions
from encord_dagster.outcomes import Batch, ExportOutcome, Published
from encord_dagster.storage.open import open_store
from encord_dagster.storage.protocol import ObjectStore

NAME = "street"
PARTITIONS = names.exports_partitions(NAME)
RANGE = (names.RANGE_START_TAG, names.RANGE_END_TAG)
_numbers = itertools.count()


class Call(msgspec.Struct):
    """One call of `ingest`, as the fake saw it."""

    ids: list[str]
    publish: bool


class Tick(msgspec.Struct):
    """What the sensor answered."""

    requests: list[dg.RunRequest]
    skipped: str | None
    cursor: str | None
    added: list[str]
    events: list[dg.AssetMaterialization]


class FakeIngest:
    """Stands in for `pipeline.ingest`. Exports whose key says so come out quarantined or failed."""

    def __init__(self) -> None:
        self.calls: list[Call] = []

    def __call__(
        self,
        exports: Sequence[Export],
        *,
        landing: ObjectStore,
        lake: ObjectStore,
        config: LabelSetConfig,
        publish: bool = True,
        progress: object = None,
        workers: object = None,
    ) -> Batch:
        self.calls.append(Call([export.id for export in exports], publish))
        outcomes = tuple(_outcome(export, publish=publish) for export in exports)
        good = any(outcome.status == "published" for outcome in outcomes)
        return Batch(outcomes=outcomes, published=_published() if good else None)


class World:
    """Stores, definitions and a Dagster instance."""

    def __init__(
        self, instance: dg.DagsterInstance, partition_by: names.PartitionBy = "export", **options: object
    ) -> None:
        number = next(_numbers)
        self.instance = instance
        self.landing = open_store(f"memory://landing-{number}")
        self.lake = open_store(f"memory://lake-{number}")
        chosen = msgspec.convert(options, type=Options)
        self.defs = build_label_set_definitions(
            landing=self.landing.url, lake=self.lake.url, name=NAME, partition_by=partition_by, **chosen
        )

    def deliver(self, *keys: str, data: bytes | None = None) -> None:
        """Put exports into the landing prefix; without data each holds other bytes."""
        for key in keys:
            row = f'[{{"export_hash": "hash-of-{key.partition(".")[0]}"}}]'
            self.landing.put_hint(key, row.encode() if data is None else data)

    def delivered(self, *keys: str) -> list[str]:
        """Deliver exports that the sensor has been through: recorded, and partitions. Their ids."""
        self.deliver(*keys)
        exports = [export for export in exports_in(self.landing) if export.key in keys]
        for export in exports:
            record_source(self.lake, NAME, export)
        ids = [export.id for export in exports]
        self.instance.add_dynamic_partitions(PARTITIONS, ids)
        return ids

    def tick(self, cursor: str | None = None) -> Tick:
        """One evaluation of the sensor; partitions are added as the daemon would."""
        sensor = self.defs.resolve_sensor_def("street_exports")
        resources = dict(self.defs.resources or {})
        with dg.build_sensor_context(
            instance=self.instance,
            instance_ref=self.instance.get_ref(),
            cursor=cursor,
            resources=resources,
            definitions=self.defs,
        ) as context:
            made = sensor.evaluate_tick(context)
        requests = made.dynamic_partitions_requests or ()
        for request in requests:
            self.instance.add_dynamic_partitions(request.partitions_def_name, list(request.partition_keys))
        added = [key for request in requests for key in request.partition_keys]
        return Tick(
            requests=list(made.run_requests or ()),
            skipped=made.skip_message,
            cursor=made.cursor,
            added=added,
            events=[event for event in made.asset_events if isinstance(event, dg.AssetMaterialization)],
        )

    def run(self, *, keys: Sequence[str], assets: Sequence[str] | None = None) -> dg.ExecuteInProcessResult:
        """A run of the job for one key or for the range from the first key to the last."""
        job = self.defs.resolve_job_def("street_ingest")
        return job.execute_in_process(
            instance=self.instance,
            raise_on_error=False,
            partition_key=keys[0] if len(keys) == 1 else None,
            tags=dict(zip(RANGE, (keys[0], keys[-1]), strict=True)) if len(keys) > 1 else None,
            asset_selection=[dg.AssetKey([NAME, asset]) for asset in assets] if assets else None,
        )

    def materialized(self, asset: str) -> dict[str | None, dg.AssetMaterialization]:
        """The last materialization of an asset by partition."""
        records = self.instance.fetch_materializations(dg.AssetKey([NAME, asset]), limit=1000, ascending=True).records
        events = [record.asset_materialization for record in records]
        return {event.partition: event for event in events if event}

    def checks(self, asset: str) -> dict[tuple[str, str | None], dg.AssetCheckEvaluation]:
        """The last evaluation of an asset's checks by name and partition."""
        runs = reversed(self.instance.get_runs())
        kind = dg.DagsterEventType.ASSET_CHECK_EVALUATION
        events = [entry.dagster_event for run in runs for entry in self.instance.all_logs(run.run_id, of_type=kind)]
        found = [event.event_specific_data for event in events if event]
        return {
            (item.check_name, item.partition): item
            for item in found
            if isinstance(item, dg.AssetCheckEvaluation) and item.asset_key == dg.AssetKey([NAME, asset])
        }


def finding(rule: str = "object_no_shape", message: str = "the object has no shape") -> Finding:
    """A finding of severity error."""
    return Finding(rule, "error", Location(row="row-1", object="object-1"), message)


def _outcome(export: Export, *, publish: bool) -> ExportOutcome:
    if "failed" in export.key:
        return ExportOutcome(export=export, status="failed", error="the store did not answer")
    if "bad" in export.key:
        return ExportOutcome(
            export=export,
            status="quarantined",
            sha256="b" * 64,
            rules={"not_json": 1},
            findings=(finding("not_json", "the bytes are no JSON"),),
            error="the bytes are no JSON",
        )
    partly = "partly" in export.key
    return ExportOutcome(
        export=export,
        status="published" if publish else "converted",
        sha256=export.id.rpartition("-")[2] * 4,
        rows=2,
        images=2,
        objects_in=3,
        objects_published=2 if partly else 3,
        objects_quarantined=1 if partly else 0,
        classes={"car": 2, "<script>alert(1)</script>": 1},
        rules={"object_no_shape": 1} if partly else {},
        findings=(finding(),) if partly else (),
        export_hashes=(f"hash-of-{export.key}",),
        uris={"raw": "memory://lake/raw", "coco": "memory://lake/coco"},
    )


def _published() -> Published:
    return Published(
        seq=7,
        version=5,
        op="publish",
        content_digest="c" * 64,
        manifest_digest="d" * 64,
        rows=4,
        images=4,
        annotations=6,
        classes={"car": 4},
        uri="memory://lake/log/7",
        coco_uri=None,
    )
