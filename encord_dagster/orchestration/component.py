"""A label set as a Dagster component. Every project that has the package installed imports this: it stays light."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Self

import dagster as dg
import msgspec
from pydantic import BaseModel, ValidationError

from encord_dagster.errors import UsageError
from encord_dagster.orchestration.choices import LabelSetOptions
from encord_dagster.orchestration.scaffold import LabelSetScaffolder

if TYPE_CHECKING:
    from encord_dagster.config import LabelSetConfig


@dg.scaffold_with(LabelSetScaffolder)
class EncordLabelSetComponent(dg.Component, LabelSetOptions):
    """Encord label exports in a bucket become a published, versioned label set.

    A sensor finds new exports; one step reads, validates, converts and publishes them: COCO, masks and Parquet tables,
    numbered versions, lineage back to every label row. A subclass may change the asset specs (`get_asset_spec`) and
    what surrounds the step (`execute`).
    """

    @classmethod
    def get_spec(cls) -> dg.ComponentTypeSpec:
        """What `dg list components` and Dagster's pages say of it."""
        return dg.ComponentTypeSpec(produces=["asset", "asset_check", "job", "schedule", "sensor", "resource"])

    @classmethod
    def resolve_from_model(cls, context: dg.ResolutionContext, model: BaseModel) -> Self:
        """The component out of its YAML; what cannot be chosen is refused here, where file and line are known."""
        try:
            component: Self = super().resolve_from_model(context, model)
        except ValidationError as error:
            first = error.errors()[0]
            why = first["msg"] if first["input"] is not None else "nothing given: is the environment variable set?"
            raise _placed(context, model, [*first["loc"]], why) from None
        try:
            component.configuration()
        except UsageError as error:
            raise _placed(context, model, component._culprit(), str(error)) from None
        for number, one in enumerate(component.training_sets):
            try:
                one.refuse_unusable(component.training_sets[:number], landing=component.landing)
            except UsageError as error:
                raise _placed(context, model, ["training_sets", number], str(error)) from None
        return component

    def configuration(self) -> "LabelSetConfig":
        """What is chosen about the label set. UsageError for what cannot be chosen."""
        from encord_dagster.orchestration.definitions import Options, configuration

        given = self.model_dump(include=set(Options.__annotations__), exclude_none=True)
        try:
            options = msgspec.convert(given, type=Options)
        except msgspec.ValidationError as error:
            raise UsageError(str(error)) from error
        return configuration(name=self.name, ontology=self.ontology, exports=self.exports, **options)

    def get_asset_spec(self, spec: dg.AssetSpec) -> dg.AssetSpec:
        """The spec of each asset, for subclasses to change: group, owners, tags, description, metadata, automation."""
        return spec

    def execute(
        self, context: dg.AssetExecutionContext, config: "LabelSetConfig"
    ) -> Iterator[dg.MaterializeResult[object]]:
        """The step that brings exports into the label set, for subclasses to surround."""
        from encord_dagster.orchestration.assets import step_of

        yield from step_of(self.partition_by)(context, config)

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        """Assets, checks, jobs, sensor, schedule and resources of the label set."""
        from encord_dagster.orchestration.alerts import Alerts, notifier
        from encord_dagster.orchestration.assets import Hooks
        from encord_dagster.orchestration.definitions import label_set_definitions
        from encord_dagster.orchestration.elsewhere import Readers, engine
        from encord_dagster.orchestration.size_classes import read_size_classes
        from encord_dagster.orchestration.specs import Ownership
        from encord_dagster.orchestration.stores import EnvironmentS3, LabelSetStores

        s3 = EnvironmentS3(**self.s3.model_dump()) if self.s3 else EnvironmentS3()
        return label_set_definitions(
            self.configuration(),
            LabelSetStores(landing_url=self.landing, lake_url=self.lake, s3=s3, queue_url=self.queue),
            sensor_interval_seconds=self.sensor_interval_seconds,
            reconcile_cron=self.reconcile_cron,
            running=self.running,
            backfill=self.backfill,
            partition_by=self.partition_by,
            ownership=Ownership(
                group=self.group, owners=self.owners, tags=self.tags, fresh_within_hours=self.fresh_within_hours
            ),
            size_classes=read_size_classes(self.size_classes),
            alerts=Alerts(notifier(self.alerts), self.alert_at),
            readers=Readers(engine(self.elsewhere), self.processes),
            training_sets=[one.chosen() for one in self.training_sets],
            hooks=Hooks(asset_spec=self.get_asset_spec, execute=self.execute),
        )

    def _culprit(self) -> list[str | int]:
        """Where the field is that is refused by itself; empty where only their combination is."""
        for field in sorted(self.model_fields_set):
            alone: dict[str, Any] = {"landing": "", "lake": "", "name": "alone"} | {field: getattr(self, field)}
            try:
                EncordLabelSetComponent.model_construct(**alone).configuration()
            except UsageError:
                return [field]
        return []


def _placed(context: dg.ResolutionContext, model: BaseModel, where: list[str | int], why: str) -> Exception:
    """An error that names file and line."""
    for part in where:
        context = context.at_path(part)
    return context.build_resolve_fn_exc([why], field_name=str(where[0] if where else "attributes"), model=model)
