"""What can be written into the YAML of a label set: fields, what they mean, and limits for `dg check yaml`."""

from typing import Annotated, Literal, get_args

import dagster as dg
from pydantic import ConfigDict

from encord_dagster.config import HOLDING, NAME, LabelSetConfig, Publish, Thresholds
from encord_dagster.findings import RANKS, Severity
from encord_dagster.orchestration.fields import count, field, listed, nested, nested_list, place, share, switch
from encord_dagster.orchestration.names import PartitionBy
from encord_dagster.orchestration.specs import Backfill
from encord_dagster.orchestration.training_choices import TrainingSetOptions

_DEFAULT = LabelSetConfig(name="default")
_LIMIT = Thresholds()


class S3Options(dg.Model, dg.Resolvable):
    """How S3 is reached. Credentials come from boto3's usual chain: variables, AWS_PROFILE, instance role."""

    region_name: Annotated[str | None, field("AWS region, as eu-west-1.")] = None
    endpoint_url: Annotated[str | None, field("Endpoint of another S3 store, as http://minio:9000.")] = None


class ThresholdOptions(dg.Model, dg.Resolvable):
    """From when on a new version looks suspicious beside the one before."""

    class_vanished: Annotated[int, count("Objects that a class had, and has none any more.", minimum=1)] = (
        _LIMIT.class_vanished
    )
    annotations_dropped: Annotated[float, share("Share of all annotations that are gone, 0 to 1.")] = (
        _LIMIT.annotations_dropped
    )
    class_share_shifted: Annotated[float, share("How far a class's share of all annotations moved, 0 to 1.")] = (
        _LIMIT.class_share_shifted
    )
    class_share_needs: Annotated[
        int, count("Annotations in the version before, below which shares say nothing.", minimum=1)
    ] = _LIMIT.class_share_needs


class LabelSetOptions(dg.Model, dg.Resolvable):
    """The fields of the component: what `build_label_set_definitions` takes."""

    model_config = ConfigDict(coerce_numbers_to_str=True)  # a template turns the text 2024 into a number

    landing: Annotated[
        str, place("Where exports arrive: s3://bucket/prefix, or a folder; relative ones start at this file's folder.")
    ]
    lake: Annotated[str, place("Where the label set is written: s3://bucket/prefix, or a folder as for `landing`.")]
    name: Annotated[
        str,
        field(
            "Name of the label set and prefix of its assets: letters, digits, _ and -, at most 63.",
            text=f"^{NAME.pattern}$",
        ),
    ]
    s3: Annotated[S3Options | None, nested("How S3 is reached, where boto3's variables do not say it.", S3Options)] = (
        None
    )
    ontology: Annotated[str | None, place("JSON file of the ontology, from this file's folder.")] = None
    exports: Annotated[
        Literal["partial", "complete"],
        field("Whether every export is meant to hold all label rows.", choices=("partial", "complete")),
    ] = _DEFAULT.landing
    content: Annotated[
        Literal["join", "export"],
        field("A version holds the newest state of all rows, or its newest export.", choices=("join", "export")),
    ] = _DEFAULT.content

    running: Annotated[bool, switch("Sensor and schedule run without anybody switching them on.")] = False
    sensor_interval_seconds: Annotated[int, count("Seconds between two looks at the bucket.", minimum=1)] = 30
    reconcile_cron: Annotated[
        str, field("When the schedule requests what the bucket holds and nothing accounts for.", text=r"\S+( +\S+){4}")
    ] = "0 * * * *"
    backfill: Annotated[
        Backfill,
        field("single_run: one run, as `dg launch --partition-range` needs it.", choices=get_args(Backfill)),
    ] = "multi_run"

    partition_by: Annotated[
        PartitionBy,
        field(
            "A partition is one export, or all that arrived on one day: for files by the hundred thousand.",
            choices=get_args(PartitionBy),
        ),
    ] = "export"
    queue: Annotated[
        str | None, field("Url of an SQS queue with the bucket's notifications: what they name is looked at first.")
    ] = None

    size_classes: Annotated[
        str | None, place("JSON file of tags by size, for the run launcher: a list of {from_bytes, tags}.")
    ] = None

    processes: Annotated[
        int, count("Processes that read the rows of a large export; 0: as many as are of use.", minimum=0)
    ] = 0
    elsewhere: Annotated[
        str | None,
        field(
            "Python path of an engine that reads the rows of giant exports: my_project.pods.engine, see docs/scale.md.",
            text=r"^[A-Za-z_]\w*([.][A-Za-z_]\w*)+$",
        ),
    ] = None

    group: Annotated[str | None, field("Asset group; without it the label set's name.", text="^[A-Za-z0-9_]+$")] = None
    owners: Annotated[
        tuple[str, ...], listed("Owners of the assets: e-mail addresses, or team:name.", each="@|^team:")
    ] = ()
    tags: Annotated[dict[str, str], field("Tags of the assets.", text=r"^\{.*\}$")] = {}

    fresh_within_hours: Annotated[
        float | None,
        field("Hours after which the newest version is stale, whatever became of it.", text="^[0-9.]+$", minimum=0.02),
    ] = None
    alerts: Annotated[
        str | None,
        field(
            "Python path of a function that is told what goes wrong: my_project.alerts.notify, see docs/alerts.md.",
            text=r"^[A-Za-z_]\w*([.][A-Za-z_]\w*)+$",
        ),
    ] = None
    alert_at: Annotated[
        Severity, field("Findings of published exports are told from this severity on.", choices=tuple(RANKS))
    ] = "error"

    training_sets: Annotated[
        tuple[TrainingSetOptions, ...],
        nested_list("What is written to train on, each as an asset behind `label_set_latest`.", TrainingSetOptions),
    ] = ()

    branch: Annotated[str, field("Branch of the label rows; those of others are left out.")] = _DEFAULT.branch
    label_statuses: Annotated[
        tuple[str, ...], listed("Only labels of rows of these statuses, as REVIEWED; empty: all.")
    ] = _DEFAULT.label_statuses
    workflow_nodes: Annotated[tuple[str, ...], listed("Only labels of rows in these workflow stages; empty: all.")] = (
        _DEFAULT.workflow_nodes
    )
    name_pattern: Annotated[
        str, field("Regular expression for names of exports; named groups go into metadata and lineage.")
    ] = _DEFAULT.name_pattern
    masks: Annotated[bool, switch("Semantic and instance masks as PNG.")] = _DEFAULT.masks
    inline_coco_bytes: Annotated[
        int, count("Up to this size a version also holds a plain annotations/instances.json.", minimum=0)
    ] = _DEFAULT.inline_coco_bytes
    keep_raw: Annotated[
        bool, switch("Exports are copied into the lake; without them quarantine cannot be replayed.")
    ] = _DEFAULT.keep_raw

    on_bad_object: Annotated[
        Literal["quarantine_object", "quarantine_row", "fail_export"],
        field("What a bad object costs.", choices=("quarantine_object", "quarantine_row", "fail_export")),
    ] = _DEFAULT.on_bad_object
    severities: Annotated[
        dict[str, str],
        field(
            "Severity by rule, where the default does not suit: duplicate_boxes: error.",
            text=r"^\{.*\}$",
            additionalProperties={"enum": list(RANKS)},
        ),
    ] = {}
    min_area_pixels: Annotated[
        float, field("Smaller objects are a finding; 0: not checked.", text="^[0-9.]+$", minimum=0)
    ] = _DEFAULT.min_area_pixels
    thresholds: Annotated[
        ThresholdOptions | None,
        nested("From when on a new version looks suspicious beside the one before.", ThresholdOptions),
    ] = None
    hold_back: Annotated[
        tuple[str, ...], listed("Rules that hold a version back until it is released.", choices=HOLDING)
    ] = _DEFAULT.hold_back
    absent_after: Annotated[
        int, count("Complete exports in a row without a row, from when on that is a finding.", minimum=1)
    ] = _DEFAULT.absent_after

    publish: Annotated[
        tuple[str, ...], listed("What is published beyond labels, see docs/privacy.md.", choices=get_args(Publish))
    ] = _DEFAULT.publish
    free_text: Annotated[bool, switch("Text answers are published.")] = _DEFAULT.free_text
    pseudonym_key_variable: Annotated[
        str, field("NAME of the environment variable with the key that makes people pseudonyms.")
    ] = _DEFAULT.pseudonym_key_variable
