"""The resources: where exports arrive and where the label set is written; clients are made at use."""

from typing import TYPE_CHECKING, Protocol

import dagster as dg

from encord_dagster.errors import UsageError
from encord_dagster.storage.protocol import ObjectStore

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

    from encord_dagster.storage.queue import Queue


class S3Clients(Protocol):
    """Whatever hands out boto3 S3 clients, as `dagster_aws.s3.S3Resource` does."""

    def get_client(self) -> "S3Client":
        """A boto3 S3 client."""
        ...


class EnvironmentS3(dg.ConfigurableResource[object]):
    """Clients of boto3, which is imported when one is asked for, not when definitions load. It needs no dagster-aws.

    Credentials come from boto3's usual chain: variables, profile, instance role.
    """

    region_name: str | None = None
    endpoint_url: str | None = None

    def get_client(self) -> "S3Client":
        """A boto3 S3 client."""
        from encord_dagster.storage.open import default_client

        return default_client(region_name=self.region_name, endpoint_url=self.endpoint_url)


class LabelSetStores(dg.ConfigurableResource[object]):
    """The landing prefix (read only) and the lake. Urls are `s3://bucket/prefix`, `file:///folder` or a folder."""

    landing_url: str
    lake_url: str
    s3: dg.ResourceDependency[S3Clients]
    queue_url: str | None = None

    def landing(self) -> ObjectStore:
        """The prefix that exports arrive in."""
        return self.at(self.landing_url)

    def lake(self) -> ObjectStore:
        """The prefix that the label set is written to."""
        return self.at(self.lake_url)

    def queue(self) -> "Queue | None":
        """The SQS queue that notifications of the landing prefix come to, if there is one."""
        if not self.queue_url:
            return None
        from encord_dagster.storage.queue import Queue

        return Queue(self.queue_url)

    def at(self, url: str) -> ObjectStore:
        """Any other place, with the same client."""
        from encord_dagster.storage.open import open_store

        return open_store(url, client=self.s3.get_client() if url.startswith("s3://") else None)


class NoValues(dg.IOManager):
    """Refuses to store or load a value: files are written by the pipeline, and nothing here is ever pickled."""

    def handle_output(self, context: dg.OutputContext, obj: object) -> None:
        """Refuse."""
        raise UsageError(f"{context.step_key} returned a {type(obj).__name__}: assets of a label set return no values")

    def load_input(self, context: dg.InputContext) -> object:
        """Refuse."""
        raise UsageError(f"{context.name} asks for a label set's value: declare it in `deps` and read it from the lake")


NO_VALUES = NoValues()  # one object, so that the definitions of several label sets merge
