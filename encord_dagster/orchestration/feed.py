"""The queue of a bucket's notifications: it names keys that a tick looks at first, and decides nothing.

Whatever is lost, late, repeated or garbage in it, the sweep finds the same exports. A message is deleted once what it
names is a partition, which only a tick that is done makes of it, or is not there; until then it comes again.
"""

from collections.abc import Container, Iterator
from typing import TYPE_CHECKING
from urllib.parse import unquote_plus

import msgspec

from encord_dagster.errors import StorageError
from encord_dagster.landing import Export, export_of, is_export
from encord_dagster.storage.protocol import ObjectStore

if TYPE_CHECKING:
    from encord_dagster.storage.queue import Message, Queue

MESSAGES_PER_TICK = 100


class _Name(msgspec.Struct, frozen=True):
    name: str = ""
    key: str = ""


class _Place(msgspec.Struct, frozen=True):
    bucket: _Name = _Name()
    object: _Name = _Name()


class _Record(msgspec.Struct, frozen=True):
    s3: _Place = _Place()


class _Body(msgspec.Struct, frozen=True):
    """What S3 sends, alone or in an SNS notification, or EventBridge."""

    Records: tuple[_Record, ...] = ()
    detail: _Place = _Place()
    Message: str = ""


def named_keys(body: str, url: str) -> list[str]:
    """The keys below a landing prefix that a message names; none where it is no notification."""
    try:
        read = msgspec.json.decode(body, type=_Body)
        if read.Message:
            read = msgspec.json.decode(read.Message, type=_Body)
    except msgspec.DecodeError:  # ValidationError is one
        return []
    # S3 encodes keys as forms do; EventBridge and some other stores do not. What is not there costs one look.
    places = [read.detail, *(one.s3 for one in read.Records)]
    keys = [(place.bucket.name, key) for place in places for key in (unquote_plus(place.object.key), place.object.key)]
    start = f"{url}/"
    found = dict.fromkeys(f"s3://{bucket}/{key}" for bucket, key in keys if key)
    return [key[len(start) :] for key in found if key.startswith(start) and key != start]


class Feed:
    """What a queue says of a landing prefix in one tick."""

    def __init__(self, queue: "Queue", landing: ObjectStore) -> None:
        self._queue, self._landing = queue, landing
        self._exports: dict[str, Export | None] = {}
        self._messages: list[tuple[Message, list[str]]] = []

    def exports(self) -> Iterator[Export]:
        """The exports that its messages name, as a listing shows them."""
        for message in self._queue.receive(MESSAGES_PER_TICK):
            keys = named_keys(message.body, self._landing.url)
            for key in keys:
                if key not in self._exports:
                    export = self._exports[key] = self._listed(key)
                    if export:
                        yield export
            self._messages.append((message, keys))

    def settle(self, known: Container[str]) -> int:
        """Delete the messages that have nothing more to say; how many."""
        done = [
            message
            for message, keys in self._messages
            if all((export := self._exports.get(key)) is None or export.id in known for key in keys)
        ]
        self._queue.delete(done)
        return len(done)

    def _listed(self, key: str) -> Export | None:
        """An export as the sweep would see it: only a listing gives the same id."""
        try:
            first = next(self._landing.list(key), None) if is_export(key) else None
        except StorageError:  # the sweep says so, if it is more than an odd key
            return None
        return export_of(first) if first and first.key == key else None
