"""An SQS queue, over a boto3 client. Imported only where a label set has one."""

import re
from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Protocol
from urllib.parse import urlsplit

import msgspec

from encord_dagster.errors import StorageError, UsageError
from encord_dagster.storage.s3_errors import S3_ERRORS, text_of

AT_A_TIME = 10  # messages: SQS gives and takes no more
HIDDEN_SECONDS = 60  # a message that was received comes again after that, unless it is deleted

_AWS = re.compile(r"(?:sqs\.)?([a-z]{2}(?:-[a-z]+)+-\d)\.(?:queue\.)?amazonaws\.com(?:\.cn)?")


class Message(msgspec.Struct, frozen=True, rename="pascal"):
    """A message, and what deletes it."""

    receipt_handle: str
    body: str


class SqsClient(Protocol):
    """What is used of boto3's client."""

    def receive_message(self, **wanted: object) -> Mapping[str, object]:
        """Messages that wait."""
        ...

    def delete_message_batch(self, **wanted: object) -> Mapping[str, object]:
        """Delete messages."""
        ...


class _Received(msgspec.Struct, frozen=True, rename="pascal"):
    messages: tuple[Message, ...] = ()


class Queue:
    """The messages of one queue. StorageError where it does not answer."""

    def __init__(self, url: str, client: SqsClient | None = None) -> None:
        self.url = url
        self._client = client or _client(url)

    def receive(self, most: int) -> list[Message]:
        """Messages that wait, without waiting for more. They come again until they are deleted."""
        found: list[Message] = []
        while len(found) < most:
            try:
                answer = self._client.receive_message(
                    QueueUrl=self.url,
                    MaxNumberOfMessages=AT_A_TIME,
                    VisibilityTimeout=HIDDEN_SECONDS,
                    WaitTimeSeconds=0,
                )
            except S3_ERRORS as error:
                raise StorageError(f"could not read the queue {self.url} ({text_of(error)})") from None
            received = msgspec.convert(answer, type=_Received).messages
            found += received
            if not received:
                break
        return found

    def delete(self, messages: Sequence[Message]) -> None:
        """Delete messages. One that cannot be deleted comes again."""
        waiting = iter(messages)
        while some := list(islice(waiting, AT_A_TIME)):
            entries = [{"Id": str(place), "ReceiptHandle": one.receipt_handle} for place, one in enumerate(some)]
            try:
                self._client.delete_message_batch(QueueUrl=self.url, Entries=entries)
            except S3_ERRORS as error:
                raise StorageError(f"messages stay in the queue {self.url} ({text_of(error)})") from None


def _client(url: str) -> SqsClient:
    """Region and endpoint are those of the queue's url, credentials of boto3's usual chain."""
    import boto3
    from botocore.config import Config

    place = urlsplit(url)
    if place.scheme not in ("http", "https") or not place.path.strip("/"):
        raise UsageError(f"queue {url!r}: use its url, as https://sqs.eu-west-1.amazonaws.com/123456789012/exports")
    on_aws = _AWS.fullmatch(place.hostname or "")
    config = Config(
        retries={"mode": "standard", "total_max_attempts": 2}, connect_timeout=3, read_timeout=5
    )  # the sweep does not wait for it long
    client: SqsClient = boto3.session.Session().client(
        "sqs",
        region_name=on_aws[1] if on_aws else None,
        endpoint_url=None if on_aws else f"{place.scheme}://{place.netloc}",
        config=config,
    )
    return client
