"""The policies in deploy/iam allow the calls that the code makes, and no others."""

from pathlib import Path
from typing import Any

import pytest

from encord_dagster.config import LabelSetConfig
from encord_dagster.label_set.gc import gc
from encord_dagster.label_set.operations import rollback, unblock
from encord_dagster.label_set.read import open_label_set
from encord_dagster.label_set.retire import retire
from encord_dagster.label_set.tags import tag, tags
from encord_dagster.label_set.verify import verify
from encord_dagster.landing import exports_in
from encord_dagster.orchestration.peek import peek
from encord_dagster.orchestration.reconcile import unaccounted
from encord_dagster.pipeline import ingest, replay
from encord_dagster.repair import repair
from encord_dagster.samples import bad_exports
from encord_dagster.storage.memory import MemoryStore
from encord_dagster.storage.queue import Queue
from tests.deploy.permissions import MAINTENANCE, Guarded, Policy, Refused, Request, is_allowed, matching, policy
from tests.lakes import exported_again, images_export

CONFIG = LabelSetConfig(name="street")
FIRST = images_export(3)
DELIVERED = {
    "1.json": FIRST,
    "2.json": exported_again(FIRST, changed=1),
    "2-again.json": exported_again(FIRST, changed=1),
}
LAKE, LANDING = "example-lake/lake", "example-landing/exports"
BUCKET = policy("lake-bucket")


class Places:
    """A landing prefix and a lake, each opened by whom one likes."""

    def __init__(self) -> None:
        self.landing, self.lake = MemoryStore(), MemoryStore()

    def reader(self) -> Guarded:
        """The landing prefix, as the code server reads it."""
        return Guarded(self.landing, LANDING, role=policy("landing-reader"), bucket=())

    def open(self, role: str, *, who: str = "arn:aws:iam::111122223333:role/any") -> Guarded:
        """The lake, by one of the roles."""
        return Guarded(self.lake, LAKE, role=policy(role), bucket=BUCKET, who=who)


def _published() -> tuple[Places, Guarded, Guarded]:
    """All that sensors, runs and operators do but delete."""
    places = Places()
    landing, lake = places.reader(), places.open("lake-writer")
    for key, data in {**DELIVERED, **bad_exports()}.items():
        places.landing.create(key, data)
        exports = unaccounted(landing, lake, "street")
        for export in exports:
            peek(landing, export)
        ingest(exports, landing=landing, lake=lake, config=CONFIG)
    label_set = open_label_set(lake, "street")
    tag(lake, "street", "gold", 1)
    assert len(tags(lake, "street")) == 1
    rollback(lake, "street", 1, "the annotators were wrong")
    unblock(lake, "street", [item.id for item in exports_in(landing)][:1], "they were right")
    rows = label_set.version(1).winning()
    retire(lake, "street", "consent withdrawn", label_hashes=[next(iter(rows.values()))[1].label_hash])
    replay(lake=lake, landing=landing, config=CONFIG)
    assert verify(lake, "street").problems == []
    return places, landing, lake


def _maintained(places: Places) -> Guarded:
    """What the maintenance role is for."""
    lake = places.open("lake-maintenance", who=MAINTENANCE)
    first = open_label_set(places.lake, "street").log()[0]
    for ref in (first.root, first.exports[0].events):
        assert ref is not None
        places.lake.delete(ref.key)
        places.lake.create(ref.key, b"damaged")
    assert len(repair(lake, "street", CONFIG).repaired) == 2
    places.lake.create("label_sets/street/objects/0/aa/" + "a" * 64, b"orphan")
    places.lake.create("label_sets/street/gc/000000000001-" + "b" * 16 + ".json", b"{}")
    gc(lake, "street", keep=1)
    return lake


def _unused(role: Policy, asked: list[Request]) -> set[tuple[str, str, str]]:
    """What a role may and the code never does: statement, action, resource."""
    may = {
        (item["Sid"], action, resource)
        for item in role
        for action in _listed(item["Action"])
        for resource in _listed(item["Resource"])
    }
    used = set()
    for sid, action, resource in may:
        alone = tuple({**item, "Action": action, "Resource": resource} for item in role if item["Sid"] == sid)
        if any(matching(alone, request, "Allow") for request in asked):
            used.add((sid, action, resource))
    return may - used


def _listed(value: Any) -> list[str]:
    return value if isinstance(value, list) else [value]


@pytest.fixture(scope="module")
def published() -> tuple[Places, Guarded, Guarded]:
    """A label set in use."""
    return _published()


def test_roles_may_what_the_code_does_and_nothing_else(tmp_path: Path) -> None:
    """Every call of publishing, operating, reading and maintenance is allowed; every permission is made use of."""
    places, landing, writer = _published()
    reader = places.open("lake-reader")
    version = open_label_set(reader, "street").version("gold")
    version.checkout(tmp_path / "files")
    maintenance = _maintained(places)

    assert {role: _unused(store.role, store.asked) for role, store in _named(landing, writer, reader, maintenance)} == {
        "landing": set(),
        "writer": set(),
        "reader": set(),
        "maintenance": {
            # probes are a day old before they go
            ("DeleteWhatNoVersionNames", "s3:DeleteObject", "arn:aws:s3:::example-lake/lake/label_sets/*/probes/*")
        },
    }


def _named(*stores: Guarded) -> list[tuple[str, Guarded]]:
    return list(zip(("landing", "writer", "reader", "maintenance"), stores, strict=True))


def test_only_maintenance_may_delete(published: tuple[Places, Guarded, Guarded]) -> None:
    """The writer's own garbage collection is refused at the first object."""
    places, _, lake = published

    with pytest.raises(Refused, match="DeleteObject"):
        gc(lake, "street", keep=1)
    with pytest.raises(Refused, match="PutObject"):
        places.reader().create("export.json", b"{}")


@pytest.mark.parametrize("role", ["lake-writer", "lake-maintenance"])
def test_everything_but_the_hint_is_create_only(role: str, published: tuple[Places, Guarded, Guarded]) -> None:
    """A PUT without If-None-Match is denied for every key that was ever written, the hint's alone excepted."""
    places, _, lake = published
    keys = {info.key for info in places.lake.list()}
    anybody = ({"Sid": "All", "Effect": "Allow", "Action": "s3:*", "Resource": "*"},)

    plain = {key for key in keys if is_allowed(anybody, BUCKET, lake.request("s3:PutObject", key))}
    of_role = {key for key in keys if is_allowed(policy(role), (), lake.request("s3:PutObject", key))}

    assert plain == of_role == {"label_sets/street/latest.json"}
    assert {key.split("/")[2] for key in keys if key.startswith("label_sets/")} >= {"log", "objects", "tags", "exports"}


@pytest.mark.parametrize("key", ["log/000000000001.json", "tags/gold.json", "categories/1.json"])
def test_history_is_deleted_by_nobody(key: str) -> None:
    """Not by maintenance either, nor by who may everything."""
    lake = Places().open("lake-maintenance", who=MAINTENANCE)
    anybody = ({"Sid": "All", "Effect": "Allow", "Action": "s3:*", "Resource": "*"},)

    for action in ("s3:DeleteObject", "s3:DeleteObjectVersion"):
        assert not is_allowed(anybody, BUCKET, lake.request(action, f"label_sets/street/{key}"))


def test_only_maintenance_deletes_and_only_over_tls() -> None:
    """Whoever else is given the permission by mistake is stopped by the bucket."""
    anybody = ({"Sid": "All", "Effect": "Allow", "Action": "s3:*", "Resource": "*"},)
    key = "label_sets/street/objects/0/aa/" + "a" * 64
    theirs = Places().open("lake-writer").request("s3:DeleteObject", key)
    ours = Places().open("lake-maintenance", who=MAINTENANCE).request("s3:DeleteObject", key)
    in_clear = Request(ours.action, ours.resource, {**ours.context, "aws:SecureTransport": "false"})

    assert [is_allowed(anybody, BUCKET, request) for request in (theirs, ours, in_clear)] == [False, True, False]


class Asked:
    """A queue with one message, which notes what it is asked for, as IAM calls it."""

    def __init__(self) -> None:
        self.actions: set[str] = set()
        self._waiting = [{"ReceiptHandle": "one", "Body": "{}"}]

    def receive_message(self, **_wanted: object) -> dict[str, object]:
        self.actions.add("sqs:ReceiveMessage")
        return {"Messages": [self._waiting.pop()]} if self._waiting else {}

    def delete_message_batch(self, **_wanted: object) -> dict[str, object]:
        self.actions.add("sqs:DeleteMessage")
        return {}


def test_the_queue_is_asked_for_what_its_policy_allows() -> None:
    """To receive messages and to delete them, and nothing else."""
    client = Asked()
    queue = Queue("https://sqs.eu-west-1.amazonaws.com/111122223333/example-landing-exports", client)

    queue.delete(queue.receive(10))

    (allowed,) = policy("queue-reader")
    assert client.actions == set(allowed["Action"])
