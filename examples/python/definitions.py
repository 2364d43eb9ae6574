"""Two label sets in one code location: street scenes for everybody, and a set without masks for one team."""

import dagster as dg
from dagster_aws.s3 import S3Resource

from encord_dagster import build_label_set_definitions
from encord_dagster.formats.selection import Selection
from encord_dagster.label_set.training_set import TrainingSet

s3 = S3Resource(region_name="eu-central-1")

defs = dg.Definitions.merge(
    build_label_set_definitions(
        landing="s3://acme-encord-exports/street",
        lake="s3://acme-label-sets",
        name="street",
        s3=s3,
        owners=["team:perception"],
        training_sets=[
            TrainingSet(
                name="detector",
                url="s3://acme-training/street/detector",
                formats=("yolo_detect", "coco"),
                selection=Selection(splits={"train": 0.8, "val": 0.1, "test": 0.1}, stratify=True, min_side=4),
            )
        ],
    ),
    # Small deliveries, so a day's backfill fits into one run, and objects that cannot be converted fail the export.
    build_label_set_definitions(
        landing="s3://acme-encord-exports/parking",
        lake="s3://acme-label-sets",
        name="parking",
        s3=s3,
        masks=False,
        on_bad_object="fail_export",
        backfill="single_run",
        reconcile_cron="30 5 * * *",
    ),
)
