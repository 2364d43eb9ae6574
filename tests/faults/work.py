"""What child processes of the tests do: publish into a folder or bucket, under faults that only a process can have."""

import ctypes
import json
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from encord_dagster.errors import EncordDagsterError
from encord_dagster.label_set.history import head
from encord_dagster.label_set.verify import verify
from encord_dagster.landing import exports_in
from encord_dagster.pipeline import ingest
from encord_dagster.storage.local import LocalStore
from encord_dagster.storage.protocol import ObjectStore
from tests.faults.stage import CONFIG, FIRST, NAME, SECOND, content, published, seen, sound_lake
from tests.lakes import Desk, images_export

FIU_PRELOAD = Path("/usr/lib/fiu/fiu_posix_preload.so")
FIU = "libfiu.so.0"

_Decide = ctypes.CFUNCTYPE(
    ctypes.c_int,
    ctypes.c_char_p,
    ctypes.POINTER(ctypes.c_int),
    ctypes.POINTER(ctypes.c_void_p),
    ctypes.POINTER(ctypes.c_uint),
)


def store_of(url: str, client_url: str | None) -> ObjectStore:
    """A folder, or a bucket of the server at `client_url`."""
    from encord_dagster.storage.open import open_store

    if client_url is None:
        return open_store(url)
    import boto3
    from botocore.config import Config

    options = Config(s3={"addressing_style": "path"}, proxies={}, connect_timeout=5, read_timeout=20)
    session = boto3.session.Session("test", "test", region_name="us-east-1")
    client = session.client("s3", endpoint_url=client_url, config=options)
    return open_store(url, client=client)


def publish_all(landing: str, lake: str, client_url: str | None, keys: list[str]) -> None:
    """Publish the exports of these keys one by one."""
    source, target = store_of(landing, client_url), store_of(lake, client_url)
    by_key = {export.key: export for export in exports_in(source)}
    for key in keys:
        batch = ingest([by_key[key]], landing=source, lake=target, config=CONFIG)
        if batch.outcomes[0].status not in ("published", "observed"):
            raise SystemExit(f"{key}: {batch.outcomes[0].status}: {batch.outcomes[0].error}")


def numbered_export(number: int) -> bytes:
    """An export of one row that no other one has."""
    return images_export(1, seed=100 + number)


@contextmanager
def failing_call(point: str, error: int, *, at: int) -> Iterator[Callable[[], int]]:
    """The n-th call of a function of libc fails, once; how many calls there were."""
    library, calls = ctypes.CDLL(FIU), [0]

    @_Decide  # type: ignore[untyped-decorator]  # of ctypes
    def decide(*_: object) -> int:
        calls[0] += 1
        return calls[0] == at

    library.fiu_enable_external(point.encode(), 1, ctypes.c_void_p(error), 0, decide)
    try:
        yield lambda: calls[0]
    finally:
        library.fiu_disable(point.encode())


def kernel(folder: Path, point: str, error: int, step: int) -> dict[str, object]:
    """Publish on top of a version with each n-th such call failing in turn, then again without."""
    base, complaints, raised, made, at = sound_lake(FIRST, lake=LocalStore(folder / "base")), [], 0, 0, 1
    desk = Desk(LocalStore(folder / "none"), CONFIG)
    desk.landing = base.landing
    export = desk.deliver("swept.json", SECOND)
    old, new = seen(base.lake), seen(sound_lake(FIRST, SECOND).lake)
    while True:
        shutil.copytree(folder / "base", folder / str(at))
        lake = LocalStore(folder / str(at))
        failure: BaseException | None = None
        with failing_call(point, error, at=at) as calls:
            try:
                ingest([export], landing=base.landing, lake=lake, config=CONFIG)
            except EncordDagsterError as found:
                failure = found
            except Exception as found:  # noqa: BLE001 - that is what is looked for
                failure = found
                complaints.append(f"call {at}: {type(found).__name__} escaped: {found}")
            met = calls() >= at
        if not met:
            break
        made, raised = made + 1, raised + (failure is not None)
        if seen(lake) not in (old, new):
            complaints.append(f"call {at}: a reader sees neither the old nor the new version")
        ingest([export], landing=base.landing, lake=lake, config=CONFIG)
        if seen(lake) != new or len(published(lake)) != 2:
            complaints.append(f"call {at}: the next run does not publish")
        shutil.rmtree(folder / str(at))
        at += step
    return {"injections": made, "raised": raised, "complaints": complaints}


def clock(folder: Path) -> dict[str, object]:
    """What is published at the time that the process is told."""
    desk = sound_lake(FIRST, SECOND, lake=LocalStore(folder / "lake"))
    record = head(desk.lake, NAME).record
    root = record.root if record else None
    return {
        "year": desk.lake.head("label_sets/street/latest.json").last_modified[:4],  # type: ignore[union-attr] # it is there
        "content": content(desk.lake),
        "root": root.sha256 if root else "",
        "problems": verify(desk.lake, NAME).problems,
    }


if __name__ == "__main__":
    what, where, *more = sys.argv[1:]
    folder = Path(where)
    said = kernel(folder, more[0], int(more[1]), int(more[2])) if what == "kernel" else clock(folder)
    sys.stdout.write(json.dumps(said))
