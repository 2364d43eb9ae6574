"""The stores resource over S3, with either kind of client source."""

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

import dagster as dg
import pytest

from encord_dagster.orchestration.stores import EnvironmentS3, LabelSetStores, S3Clients

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


def _environment(url: str) -> S3Clients:
    return EnvironmentS3(region_name="us-east-1", endpoint_url=url)


def _dagster_aws(url: str) -> S3Clients:
    from dagster_aws.s3 import S3Resource

    clients: S3Clients = S3Resource(region_name="us-east-1", endpoint_url=url)
    return clients


@pytest.mark.parametrize("make", [_environment, _dagster_aws])
def test_s3_urls_are_opened_with_the_client_of_the_resource(
    make: Callable[[str], S3Clients], s3_server: str, s3_client: "S3Client", monkeypatch: pytest.MonkeyPatch
) -> None:
    """Endpoint and region come from the resource, credentials from the usual variables, inside a run."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("NO_PROXY", "*")
    s3_client.create_bucket(Bucket=f"stores{make.__name__.replace('_', '-')}")
    bucket = f"s3://stores{make.__name__.replace('_', '-')}"
    stores = LabelSetStores(landing_url=f"{bucket}/in", lake_url=f"{bucket}/lake", s3=make(s3_server))
    seen: list[str] = []

    @dg.asset
    def listing(stores: LabelSetStores) -> dg.MaterializeResult[None]:
        stores.lake().create("made-here", b"1")
        seen.extend(info.key for info in stores.lake().list())
        return dg.MaterializeResult()

    with dg.DagsterInstance.ephemeral() as instance:
        dg.materialize([listing], resources={"stores": stores}, instance=instance)

    assert seen == ["made-here"]
    assert s3_client.list_objects_v2(Bucket=bucket[5:])["Contents"][0]["Key"] == "lake/made-here"


def test_s3_urls_need_no_dagster_aws(s3_server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is the extra `s3`, for those who hand in its resource."""
    monkeypatch.setitem(sys.modules, "dagster_aws", None)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("NO_PROXY", "*")

    client = EnvironmentS3(region_name="eu-central-1", endpoint_url=s3_server).get_client()

    assert client.meta.region_name == "eu-central-1"
    assert "Buckets" in client.list_buckets()


def test_a_client_is_made_only_for_s3_urls() -> None:
    """A label set in folders needs neither boto3 nor credentials."""

    class Refusing(dg.ConfigurableResource[object]):
        def get_client(self) -> "S3Client":
            raise AssertionError("asked for a client")

    stores = LabelSetStores(landing_url="memory://stores-in", lake_url="memory://stores-lake", s3=Refusing())

    assert [stores.landing().url, stores.lake().url] == ["memory://stores-in", "memory://stores-lake"]
