"""The label set that the environment names, for `dagster dev` and `dagster definitions validate`.

ENCORD_LANDING    where exports arrive: s3://bucket/prefix or a folder (default .demo/landing)
ENCORD_LAKE       where the label set is written (default .demo/lake)
ENCORD_LABEL_SET  its name (default street)
ENCORD_SIZE_CLASSES  a JSON file with tags of runs by size, as deploy/helm/size-classes.json (default none)

S3 is reached with the usual AWS variables: AWS_REGION, AWS_ENDPOINT_URL_S3, AWS_PROFILE, AWS_ACCESS_KEY_ID, ...
"""

import os
from pathlib import Path

import dagster as dg

from encord_dagster import build_label_set_definitions
from encord_dagster.orchestration.stores import EnvironmentS3


def _url(variable: str, default: str) -> str:
    """A url as it stands; a folder relative to this file's, whatever folder the daemon was started in."""
    value = os.environ.get(variable) or default
    return value if "://" in value else str(Path(__file__).resolve().parent / Path(value).expanduser())


defs = dg.Definitions.merge(
    build_label_set_definitions(
        landing=_url("ENCORD_LANDING", ".demo/landing"),
        lake=_url("ENCORD_LAKE", ".demo/lake"),
        name=os.environ.get("ENCORD_LABEL_SET") or "street",
        s3=EnvironmentS3(
            region_name=os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION"),
            endpoint_url=os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL"),
        ),
        running=True,
        size_classes=os.environ.get("ENCORD_SIZE_CLASSES"),
    ),
    # one step a run: a process of its own would cost more than a small export
    dg.Definitions(executor=dg.in_process_executor),
)
