"""From a url to an object store. boto3 is imported here, and only for s3:// urls."""

import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

from encord_dagster.errors import UsageError
from encord_dagster.storage.local import LocalStore
from encord_dagster.storage.memory import MemoryStore
from encord_dagster.storage.protocol import ObjectStore

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_memory_stores: dict[str, MemoryStore] = {}
_memory_lock = threading.Lock()


def open_store(url: str, *, client: "S3Client | None" = None) -> ObjectStore:
    """The store at `s3://bucket/prefix`, `file:///path`, a plain path or `memory://name`. UsageError for others.

    `client` is used for s3:// only; without one, boto3's default chain finds credentials, region and endpoint.
    A memory:// name stands for one store in this process.
    """
    scheme, found, rest = url.partition("://")
    if not found:
        return _open_folder(url, url=url)
    match scheme:
        case "s3":
            return _open_bucket(rest, url=url, client=client)
        case "file":
            host, slash, path = rest.partition("/")
            if host not in ("", "localhost"):
                raise UsageError(f"{url}: a file url has three slashes, as in file:///srv/labels")
            return _open_folder(unquote(slash + path), url=url)
        case "memory":
            return _open_memory(rest, url=url)
        case _:
            raise UsageError(f"{url}: use s3://bucket/prefix, file:///path, a plain path or memory://name")


def _open_folder(path: str, *, url: str) -> LocalStore:
    if not path or "\0" in path:
        raise UsageError(f"{url!r} names no folder: use s3://bucket/prefix, file:///path or a plain path")
    return LocalStore(Path(path).expanduser())


def _open_memory(name: str, *, url: str) -> MemoryStore:
    if not name:
        raise UsageError(f"{url} has no name: use memory://name")
    with _memory_lock:
        return _memory_stores.setdefault(name, MemoryStore(name))


def _open_bucket(rest: str, *, url: str, client: "S3Client | None") -> ObjectStore:
    from encord_dagster.storage.s3 import S3Store

    bucket, _, prefix = rest.partition("/")
    if not bucket:
        raise UsageError(f"{url} names no bucket: use s3://bucket/prefix")
    return S3Store(client or default_client(), bucket, prefix)


def default_client(*, region_name: str | None = None, endpoint_url: str | None = None) -> "S3Client":
    """A client with boto3's default chain, but for what is given."""
    import boto3
    from botocore.config import Config

    # Servers other than AWS rarely answer at bucket.host, which boto3 would otherwise ask.
    own_endpoint = endpoint_url or any(os.environ.get(name) for name in ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"))
    config = Config(
        retries={"mode": "standard", "total_max_attempts": 4},
        connect_timeout=5,
        read_timeout=60,
        max_pool_connections=32,
        s3={"addressing_style": "path" if own_endpoint else "auto"},
    )
    return boto3.session.Session().client("s3", region_name=region_name, endpoint_url=endpoint_url, config=config)
