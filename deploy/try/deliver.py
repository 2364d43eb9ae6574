"""Make the buckets of ENCORD_LANDING and ENCORD_LAKE and deliver the sample exports of some days. For trying out.

python deliver.py [DAYS]
"""

import os
import sys
import tempfile
from pathlib import Path

import boto3

from encord_dagster.samples import write_samples
from encord_dagster.storage.open import open_store


def main(days: int = 1) -> None:
    """Deliver; what is there already stays."""
    urls = [os.environ["ENCORD_LANDING"], os.environ["ENCORD_LAKE"]]
    client = boto3.client("s3")
    present = {bucket["Name"] for bucket in client.list_buckets()["Buckets"]}
    for bucket in sorted({url.removeprefix("s3://").partition("/")[0] for url in urls} - present):
        client.create_bucket(Bucket=bucket)
    landing = open_store(urls[0])
    with tempfile.TemporaryDirectory() as folder:
        paths = [*write_samples(Path(folder), days=days), Path(folder) / "ontology.json"]
        for path in paths:
            landing.create(path.relative_to(folder).as_posix(), path.read_bytes())
    print(f"{len(paths)} files in {landing.url}")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:2]))
