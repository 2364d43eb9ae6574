"""The storage side: small objects a second, and the requests of one publish of ten changed rows."""

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from benchmarks.counted import Counted
from benchmarks.figures import Figure, show
from benchmarks.generate import export_rows
from encord_dagster.config import LabelSetConfig
from encord_dagster.landing import exports_in
from encord_dagster.pipeline import ingest
from encord_dagster.storage.local import LocalStore
from encord_dagster.storage.memory import MemoryStore
from encord_dagster.storage.protocol import ObjectStore
from encord_dagster.storage.s3 import S3Store
from tests.servers import ministack

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

OBJECTS = 300
SMALL = 4096  # bytes
CONFIG = LabelSetConfig(name="bench", masks=False)


def main() -> None:
    """Measure a local folder and an S3 server on loopback."""
    figures = []
    with tempfile.TemporaryDirectory() as folder, ministack() as url:
        client = _client(url)
        client.create_bucket(Bucket="bench")
        for name, store in (
            ("local folder", LocalStore(Path(folder))),
            ("ministack", S3Store(client, "bench", "lake")),
        ):
            figures += [*_small(name, store), *_publish(name, store)]
    show(figures)


def _small(name: str, store: ObjectStore) -> Iterator[Figure]:
    keys = [f"small/{number:04}" for number in range(OBJECTS)]
    started = time.perf_counter()
    for number, key in enumerate(keys):
        store.create(key, number.to_bytes(8) * (SMALL // 8))
    created = time.perf_counter()
    for key in keys:
        store.get(key)
    ended = time.perf_counter()
    yield Figure(f"{name}: create objects of {SMALL} bytes", OBJECTS / (created - started), "/s", "one thread")
    yield Figure(f"{name}: get objects of {SMALL} bytes", OBJECTS / (ended - created), "/s", "one thread")


def _publish(name: str, store: ObjectStore) -> Iterator[Figure]:
    """The second of two exports of 500 image rows, ten of them relabelled."""
    landing, lake = MemoryStore(), Counted(store)
    for number, changed in ((1, 0.0), (2, 0.02)):
        rows = export_rows("boxes", "x1", number=number, changed=changed)
        landing.create(f"{number}.json", msgspec.json.encode(list(rows)))
    first, second = exports_in(landing)
    ingest([first], landing=landing, lake=lake, config=CONFIG)
    lake.calls.clear()
    started, cpu = time.perf_counter(), time.process_time()
    batch = ingest([second], landing=landing, lake=lake, config=CONFIG)
    wall, cpu = time.perf_counter() - started, time.process_time() - cpu
    if batch.published is None or batch.published.version != 2:
        raise SystemExit(f"the second export made no version 2: {batch}")
    counted = ", ".join(f"{calls} {kind}" for kind, calls in sorted(lake.calls.items()))
    yield Figure(f"{name}: publish 10 changed rows of 500", lake.calls.total(), "requests", counted)
    yield Figure(f"{name}: publish 10 changed rows of 500", wall, "s wall", f"{cpu:.2f} s CPU")


def _client(url: str) -> "S3Client":
    import boto3
    from botocore.config import Config

    return boto3.session.Session().client(
        "s3",
        endpoint_url=url,
        aws_access_key_id="test",
        aws_secret_access_key="test",  # noqa: S106 - of a server on loopback
        region_name="us-east-1",
        config=Config(s3={"addressing_style": "path"}, proxies={}),
    )


if __name__ == "__main__":
    main()
