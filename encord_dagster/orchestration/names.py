"""What things are called in Dagster: assets, partitions, jobs, tags. Nobody else builds such a name."""

import re
from typing import Literal

import dagster as dg

PartitionBy = Literal["export", "day"]

EXPORT_HASH_TAG = "encord/export_hash"
LABEL_SET_TAG = "encord/label_set"
FIRST_EXPORT_TAG = "encord/first_export"
ATTEMPT_TAG = "encord/attempt"
VERSION_TAG = "encord/version"

# Dagster shows and reads these tags and does not export constants for them.
RANGE_START_TAG = "dagster/asset_partition_range_start"
RANGE_END_TAG = "dagster/asset_partition_range_end"
PARTITION_TAG = "dagster/partition"
DATA_VERSION_TAG = "dagster/data_version"
CODE_VERSION_TAG = "dagster/code_version"
INPUT_VERSION_TAG = "dagster/input_data_version"
INPUT_POINTER_TAG = "dagster/input_event_pointer"

LATEST = "label_set_latest"
NO_VALUES = "encord_no_values"  # the key of the IO manager, so that a project may keep its own `io_manager`


def identifier(name: str) -> str:
    """A label set's name as Dagster wants names of jobs, sensors, resources and groups: no hyphens."""
    return name.replace("-", "_")


def asset_key(name: str, asset: str) -> dg.AssetKey:
    """The key of one of the label set's assets, as `raw_export` or `label_set`."""
    return dg.AssetKey([name, asset])


def training_key(name: str, training_set: str) -> dg.AssetKey:
    """The key of a training set."""
    return dg.AssetKey([name, "training", training_set])


def training_step(name: str, training_set: str) -> str:
    """The step that writes a training set."""
    return f"{identifier(name)}_training_{identifier(training_set)}"


def training_sensor(name: str) -> str:
    """The sensor that follows new versions with training sets."""
    return f"{identifier(name)}_training"


def check_name(rule: str) -> str:
    """The asset check that stands for a validation rule."""
    return re.sub(r"[^A-Za-z0-9_]", "_", rule)


def partitions(name: str, partition_by: PartitionBy) -> str:
    """The dynamic partitions of the label set's assets."""
    return days_partitions(name) if partition_by == "day" else exports_partitions(name)


def exports_partitions(name: str) -> str:
    """One key for each export. By day no asset has them: they are what the sensor has seen."""
    return f"encord__{name}__exports"


def days_partitions(name: str) -> str:
    """One key for each day of arrival."""
    return f"encord__{name}__days"


def stores_resource(name: str) -> str:
    """The resource that opens the landing prefix and the lake; one for each label set, so that sets can be merged."""
    key = f"{identifier(name)}_stores"
    return key if key.isidentifier() else f"_{key}"  # a name may begin with a digit, a resource may not


def readers_resource(label_set: str) -> str:
    """Who reads the rows of its exports."""
    return f"{stores_resource(label_set)[: -len('_stores')]}_readers"


def alerts_resource(name: str) -> str:
    """The resource that knows who is told of what goes wrong."""
    return f"{stores_resource(name)[: -len('_stores')]}_alerts"


def ingest_job(name: str) -> str:
    """The job that brings exports into the label set."""
    return f"{identifier(name)}_ingest"
