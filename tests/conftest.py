"""Servers shared by the whole test session."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from tests import radosgw
from tests.faults.count import pytest_terminal_summary as pytest_terminal_summary  # a run of all tests says it too
from tests.servers import ministack

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


@pytest.fixture(scope="session")
def s3_server() -> Iterator[str]:
    """The endpoint url of a running S3 server."""
    with ministack() as url:
        yield url


@pytest.fixture(scope="session")
def s3_client(s3_server: str) -> "S3Client":
    """A client of the running S3 server."""
    return _client(s3_server)


@pytest.fixture(scope="session")
def radosgw_server() -> Iterator[str]:
    """The endpoint url of a running Ceph gateway; tests that need it are skipped where it is not installed."""
    if not radosgw.installed():
        pytest.skip(radosgw.MISSING)
    with radosgw.running() as url:
        yield url


@pytest.fixture(scope="session")
def radosgw_client(radosgw_server: str) -> "S3Client":
    """A client of the running Ceph gateway."""
    return _client(radosgw_server)


def _client(url: str) -> "S3Client":
    import boto3
    from botocore.config import Config

    return boto3.session.Session().client(
        "s3",
        endpoint_url=url,
        aws_access_key_id="test",
        aws_secret_access_key="test",
        region_name="us-east-1",
        config=Config(
            retries={"mode": "standard", "total_max_attempts": 4},
            connect_timeout=5,
            read_timeout=20,
            max_pool_connections=32,
            s3={"addressing_style": "path"},
            proxies={},
        ),
    )
