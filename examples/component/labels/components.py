"""The component with this project's own habits."""

import time
from collections.abc import Iterator

import dagster as dg

from encord_dagster import EncordLabelSetComponent
from encord_dagster.config import LabelSetConfig


class TimedLabelSet(EncordLabelSetComponent):
    """A label set whose published assets carry a tag, and whose runs log how long they took."""

    def get_asset_spec(self, spec: dg.AssetSpec) -> dg.AssetSpec:
        """Mark what other teams may read."""
        published = spec.key.path[-1] in ("label_set", "label_set_latest")
        return spec.merge_attributes(tags={"published": "true"}) if published else spec

    def execute(
        self, context: dg.AssetExecutionContext, config: LabelSetConfig
    ) -> Iterator[dg.MaterializeResult[object]]:
        """Log the seconds around the step, also where it fails."""
        start = time.monotonic()
        try:
            yield from super().execute(context, config)
        finally:
            context.log.info(
                f"{config.name}: {time.monotonic() - start:.1f} s for {len(context.partition_keys)} exports"
            )
