"""Notifications in a queue: what they name is looked at first, and whatever is wrong with them changes nothing."""

import json
import random
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg
import pytest

from encord_dagster.errors import StorageError, UsageError
from encord_dagster.landing import exports_in
from encord_dagster.orchestration.definitions import build_label_set_definitions
from encord_dagster.orchestration.feed import named_keys
from encord_dagster.orchestration.stores import LabelSetStores
from encord_dagster.orchestration.sweep import Cursor, write_cursor
from encord_dagster.storage import queue as queues
from encord_dagster.storage.memory import MemoryStore
from encord_dagster.storage.open import open_store
from encord_dagster.storage.queue import Message, Queue
from tests.effort import examples
from tests.orchestration.world import PARTITIONS, Tick, World

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

URL = "s3://exports/street"


def of_s3(*keys: str, bucket: str = "exports") -> str:
    """What S3 sends for objects; their keys are encoded as in forms."""
    records = [{"s3": {"bucket": {"name": bucket}, "object": {"key": key, "size": 1}}} for key in keys]
    return json.dumps({"Records": records})


def of_eventbridge(key: str) -> str:
    """What EventBridge sends."""
    detail = {"bucket": {"name": "exports"}, "object": {"key": key}}
    return json.dumps({"source": "aws.s3", "detail-type": "Object Created", "detail": detail})


@pytest.mark.parametrize(
    ("body", "keys"),
    [
        (of_s3("street/a.json"), ["a.json"]),
        (of_s3("street/b+c%2Fd%C3%A4.json", "street/e.json"), ["b c/dä.json", "b+c%2Fd%C3%A4.json", "e.json"]),
        (of_eventbridge("street/b+c%2Fd.json"), ["b c/d.json", "b+c%2Fd.json"]),
        (json.dumps({"Type": "Notification", "Message": of_s3("street/a.json")}), ["a.json"]),
        (json.dumps({"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "exports"}), []),
        (of_s3("streets/a.json", "a.json", "street/"), []),
        (of_s3("street/a.json", bucket="others"), []),
        ("", []),
        ("not JSON", []),
        ("[1]", []),
        ('{"Records": 7}', []),
        ('{"Records": [{}], "detail": {}, "Message": "{"}', []),
    ],
)
def test_the_keys_that_a_message_names(body: str, keys: list[str]) -> None:
    """Below the landing prefix, of its bucket; none where it is no notification."""
    assert named_keys(body, URL) == keys


class HeldQueue(Queue):
    """A queue in memory: what is received comes again until it is deleted."""

    def __init__(self) -> None:
        super().__init__("https://sqs.eu-west-1.amazonaws.com/1/exports", client=object())  # type: ignore[arg-type]
        self.messages: list[Message] = []

    def send(self, *bodies: str) -> None:
        """Put messages into it."""
        start = len(self.messages)
        self.messages += [Message(f"{start + number}-{body[:20]}", body) for number, body in enumerate(bodies)]

    def receive(self, most: int) -> list[Message]:
        return self.messages[:most]

    def delete(self, messages: Any) -> None:
        self.messages = [message for message in self.messages if message not in messages]


@pytest.fixture
def queue(monkeypatch: pytest.MonkeyPatch) -> HeldQueue:
    """The queue of every label set."""
    held = HeldQueue()
    monkeypatch.setattr(LabelSetStores, "queue", lambda self: held)
    return held


@pytest.fixture
def fed(ticking: World, queue: HeldQueue) -> World:
    """A world whose landing prefix has a bucket's url."""
    ticking.landing.url = URL
    return ticking


FAR = write_cursor(Cursor(after="y.json", known=0))


def test_what_a_message_names_is_asked_for_whatever_the_cursor_says(fed: World, queue: HeldQueue) -> None:
    """The sweep would come to it in the next pass."""
    fed.deliver("a.json", "b.json", "z.json")
    queue.send(of_s3("street/b.json"))

    tick = fed.tick(FAR)

    by_key = {export.key: export.id for export in exports_in(fed.landing)}
    assert tick.added == [by_key["b.json"], by_key["z.json"]]
    assert '"after":""' in (tick.cursor or "")


def test_a_message_stays_until_the_tick_that_found_its_export_is_done(fed: World, queue: HeldQueue) -> None:
    """Else a daemon that is killed in between would have lost it."""
    fed.deliver("a.json")
    queue.send(of_s3("street/a.json"))
    fed.instance.add_dynamic_partitions(PARTITIONS, [])

    found = fed.tick(FAR)
    after_first = len(queue.messages)
    fed.tick(found.cursor)

    assert len(found.added) == 1
    assert (after_first, queue.messages) == (1, [])


@pytest.mark.parametrize(
    "body",
    ["garbage", *map(of_s3, ("street/gone.json", "street/a/../b", "other/a.json", "street/ontology.json"))],
)
def test_messages_that_name_no_export_are_deleted(fed: World, queue: HeldQueue, body: str) -> None:
    """They would come again for ever."""
    queue.send(body)

    tick = fed.tick()

    assert (tick.added, queue.messages) == ([], [])


def test_a_queue_that_does_not_answer_costs_nothing(
    fed: World, queue: HeldQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sweep finds what is new."""
    fed.deliver("a.json")

    def fail(*_: object) -> list[Message]:
        raise StorageError("the queue is gone")

    monkeypatch.setattr(HeldQueue, "receive", fail)

    assert len(fed.tick().added) == 1


@pytest.mark.parametrize("seed", range(examples(2)))
def test_lost_repeated_reordered_and_garbled_messages_change_nothing(fed: World, queue: HeldQueue, seed: int) -> None:
    """Whatever comes, every export is asked for once, and the queue is empty in the end."""
    chance = random.Random(seed)
    cursor, asked = None, Counter[str]()
    for step in range(5):
        keys = [f"{chance.random():.9f}.json" for _ in range(chance.randrange(4))]
        fed.deliver(*keys)
        sent = [of_s3(f"street/{key}") for key in keys if chance.random() < 0.7]
        sent += chance.choices([*sent, "garbage", of_s3(f"street/gone-{step}.json")], k=3)
        chance.shuffle(sent)
        queue.send(*sent)
        tick = fed.tick(cursor)
        asked.update(keys_of(fed, tick))
        cursor = tick.cursor if chance.random() < 0.8 else chance.choice([None, FAR, "{"])
    for _ in range(3):
        tick = fed.tick(cursor)
        cursor = tick.cursor
        asked.update(keys_of(fed, tick))

    assert asked == Counter(export.id for export in exports_in(fed.landing))
    assert queue.messages == []


def keys_of(world: World, tick: Tick) -> list[str]:
    """The exports that a tick asks runs for. Each run is made, so that nobody takes it for lost."""
    partitions = list(world.instance.get_dynamic_partitions(PARTITIONS))
    found: list[str] = []
    for request in tick.requests:
        tags = dict(request.tags) | ({"dagster/partition": request.partition_key} if request.partition_key else {})
        world.instance.create_run_for_job(world.defs.resolve_job_def("street_ingest"), tags=tags)
        ends = [tags.get("dagster/asset_partition_range_start"), tags.get("dagster/asset_partition_range_end")]
        start, stop = (partitions.index(key or request.partition_key or "") for key in ends)
        found += partitions[start : stop + 1]
    return found


def test_a_queue_beside_a_folder_is_refused() -> None:
    """No notification would ever name one of its files."""
    with pytest.raises(UsageError, match="only buckets send notifications"):
        build_label_set_definitions(landing="in", lake="lake", name="street", queue="https://sqs/1/exports")


def test_a_queue_is_named_by_its_url() -> None:
    """A name alone says neither account nor region."""
    with pytest.raises(UsageError, match="use its url"):
        Queue("exports")


def test_no_queue_imports_nothing(ticking: World) -> None:
    """A label set in folders needs no boto3."""
    (stores,) = (value for value in (ticking.defs.resources or {}).values() if isinstance(value, LabelSetStores))

    assert stores.queue() is None


def test_a_bucket_tells_a_real_queue_and_the_sensor_finds_what_it_names(
    s3_server: str, s3_client: "S3Client", tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """S3 and SQS over HTTP: the message is there before the tick, hidden after it, and deleted by a later one."""
    for name, value in {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL_S3": s3_server,
        "NO_PROXY": "*",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(queues, "HIDDEN_SECONDS", 0)
    import boto3

    sqs = boto3.session.Session().client("sqs", endpoint_url=s3_server, region_name="us-east-1")
    url = sqs.create_queue(QueueName="exports")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    s3_client.create_bucket(Bucket="told")
    wanted = {"QueueArn": arn, "Events": ["s3:ObjectCreated:*"]}
    s3_client.put_bucket_notification_configuration(
        Bucket="told",
        NotificationConfiguration={"QueueConfigurations": [wanted]},  # type: ignore[list-item]  # names as AWS has them
    )
    lake = MemoryStore()
    monkeypatch.setattr(LabelSetStores, "lake", lambda self: lake)
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        world = World(instance)
        world.landing = open_store("s3://told/in", client=s3_client)
        world.defs = build_label_set_definitions(landing="s3://told/in", lake="lake", name="street", queue=url)
        world.deliver("a b+ä.json", "z.json")
        waiting = len(Queue(url).receive(100))

        found = world.tick(FAR)
        later = world.tick(found.cursor)

        assert waiting >= 2
        assert sorted(found.added) == sorted(export.id for export in exports_in(world.landing))
        assert (later.added, Queue(url).receive(100)) == ([], [])
