"""What each answer, lost answer and torn body of S3 becomes."""

import secrets
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from typing import TYPE_CHECKING

import boto3
import pytest
from botocore.awsrequest import AWSPreparedRequest
from botocore.config import Config
from botocore.exceptions import ConnectionClosedError, NoCredentialsError, ReadTimeoutError
from botocore.httpsession import URLLib3Session
from botocore.response import StreamingBody
from botocore.stub import Stubber

from encord_dagster.errors import AccessDenied, CommitStateUnknown, StorageError, UnsafeStore
from encord_dagster.storage.protocol import Create
from encord_dagster.storage.s3 import ATTEMPTS, S3Store
from encord_dagster.storage.s3_errors import redacted, text_of

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


def client_of(url: str = "http://127.0.0.1:9", *, attempts: int = 1) -> "S3Client":
    """A client that tries each request `attempts` times."""
    return boto3.session.Session().client(
        "s3",
        endpoint_url=url,
        aws_access_key_id="test",
        aws_secret_access_key="test",
        region_name="us-east-1",
        config=Config(
            retries={"mode": "standard", "total_max_attempts": attempts},
            connect_timeout=2,
            read_timeout=2,
            s3={"addressing_style": "path"},
            proxies={},
        ),
    )


@pytest.fixture
def client() -> "S3Client":
    """A client that never reaches a server."""
    return client_of()


@pytest.fixture
def stub(client: "S3Client") -> Iterator[Stubber]:
    """The answers to `client`, as the test queues them; any other request fails."""
    with Stubber(client) as stubber:
        yield stubber
        stubber.assert_no_pending_responses()


@pytest.fixture
def store(client: "S3Client", stub: Stubber) -> S3Store:
    """A store over the stubbed client."""
    return store_of(client)


def store_of(client: "S3Client") -> S3Store:
    """A store over `client` that does not wait between attempts."""
    return S3Store(client, "bucket", "lake", pause=lambda seconds: None)


def body(data: bytes, *, length: int | None = None) -> dict[str, object]:
    """A GetObject answer whose announced length may be wrong."""
    size = len(data) if length is None else length
    return {"Body": StreamingBody(BytesIO(data), size), "ContentLength": size}


def refuse(stub: Stubber, method: str, *, status: int, code: str, message: str = "") -> None:
    """Queue an error answer."""
    stub.add_client_error(method, code, message, status)


def test_a_refused_create_of_our_own_bytes_is_same(store: S3Store, stub: Stubber) -> None:
    """412 for the object that a lost answer wrote is success."""
    refuse(stub, "put_object", status=412, code="PreconditionFailed")
    stub.add_response("get_object", body(b"ours"))

    assert store.create("log/1", b"ours") is Create.SAME


def test_a_refused_create_of_other_bytes_is_different(store: S3Store, stub: Stubber) -> None:
    """412 for another writer's object says so."""
    refuse(stub, "put_object", status=412, code="PreconditionFailed")
    stub.add_response("get_object", body(b"theirs"))

    assert store.create("log/1", b"ours") is Create.DIFFERENT


def test_a_conflict_on_an_absent_key_sends_the_same_bytes_again(store: S3Store, stub: Stubber) -> None:
    """409 means that nobody won: the identical request is sent once more, create-only and with its checksum."""
    request = {
        "Bucket": "bucket",
        "Key": "lake/log/1",
        "Body": b"ours",
        "IfNoneMatch": "*",
        "ChecksumSHA256": "rgvsnp0zxWNUvWEsimAQhAMk/FuXhs4KGLaWswSwk5c=",  # by openssl
        "ChecksumAlgorithm": "SHA256",
    }
    refuse(stub, "put_object", status=409, code="ConditionalRequestConflict")
    refuse(stub, "get_object", status=404, code="NoSuchKey")
    stub.add_response("put_object", {}, request)

    assert store.create("log/1", b"ours") is Create.CREATED


def test_a_conflict_that_another_writer_won_is_different(store: S3Store, stub: Stubber) -> None:
    """409 and then other bytes at the key: the slot is taken."""
    refuse(stub, "put_object", status=409, code="ConditionalRequestConflict")
    stub.add_response("get_object", body(b"theirs"))

    assert store.create("log/1", b"ours") is Create.DIFFERENT


@pytest.mark.parametrize(("status", "code"), [(409, "ConditionalRequestConflict"), (500, "InternalError")])
def test_a_create_that_never_settles_is_an_unknown_commit_state(
    store: S3Store, stub: Stubber, status: int, code: str
) -> None:
    """After a bounded number of attempts the answer is neither yes nor no."""
    for _ in range(ATTEMPTS):
        refuse(stub, "put_object", status=status, code=code)
        refuse(stub, "get_object", status=404, code="NoSuchKey")

    with pytest.raises(CommitStateUnknown, match=rf"s3://bucket/lake/log/1.*{code}.*run again"):
        store.create("log/1", b"ours")


def test_a_create_during_an_outage_succeeds_once_it_is_over(store: S3Store, stub: Stubber) -> None:
    """503, then an unreadable key, then 503, then success: the create goes on."""
    refuse(stub, "put_object", status=503, code="SlowDown")
    refuse(stub, "get_object", status=503, code="SlowDown")
    refuse(stub, "put_object", status=503, code="SlowDown")
    refuse(stub, "get_object", status=404, code="NoSuchKey")
    stub.add_response("put_object", {})

    assert store.create("log/1", b"ours") is Create.CREATED


def test_a_create_without_conditional_writes_is_an_unsafe_store(store: S3Store, stub: Stubber) -> None:
    """A server that answers 501 to If-None-Match is refused, not retried."""
    refuse(stub, "put_object", status=501, code="NotImplemented")

    with pytest.raises(UnsafeStore, match="If-None-Match"):
        store.create("log/1", b"ours")


def test_damage_on_the_way_up_is_a_storage_error(store: S3Store, stub: Stubber) -> None:
    """A definite refusal is neither retried by us nor called unknown."""
    refuse(stub, "put_object", status=400, code="BadDigest", message="checksum did not match")

    with pytest.raises(StorageError, match="BadDigest") as raised:
        store.create("log/1", b"ours")

    assert type(raised.value) is StorageError


@pytest.mark.parametrize("call", ["get", "head", "list", "create", "create read back", "put_hint", "delete"])
def test_a_403_is_always_access_denied(store: S3Store, stub: Stubber, call: str) -> None:
    """No call reads 403 as absent; the message names what is usually missing."""
    acts: dict[str, tuple[str, Callable[[], object]]] = {
        "get": ("get_object", lambda: store.get("a")),
        "head": ("head_object", lambda: store.head("a")),
        "list": ("list_objects_v2", lambda: list(store.list("a"))),
        "create": ("put_object", lambda: store.create("a", b"")),
        "create read back": ("get_object", lambda: store.create("a", b"")),
        "put_hint": ("put_object", lambda: store.put_hint("a", b"")),
        "delete": ("delete_object", lambda: store.delete("a")),
    }
    method, act = acts[call]
    if call == "create read back":
        refuse(stub, "put_object", status=412, code="PreconditionFailed")
    refuse(stub, method, status=403, code="AccessDenied")

    with pytest.raises(AccessDenied, match=r"s3://bucket/lake/a .*HTTP 403") as raised:
        act()

    assert ("s3:DeleteObject" if call == "delete" else "s3:ListBucket") in str(raised.value)


def test_expired_credentials_are_access_denied(store: S3Store, stub: Stubber) -> None:
    """AWS answers 400 for an expired token; the advice is to renew it."""
    refuse(stub, "get_object", status=400, code="ExpiredToken")

    with pytest.raises(AccessDenied, match="renew the AWS credentials"):
        store.get("a")


def test_missing_credentials_are_access_denied() -> None:
    """No credentials at all is a matter of configuration, not an outage."""
    client = client_of()

    def fail(**_: object) -> None:
        raise NoCredentialsError()

    client.meta.events.register("before-sign.s3", fail)

    with pytest.raises(AccessDenied, match="set or renew the AWS credentials"):
        store_of(client).create("a", b"")


@pytest.mark.parametrize("call", ["get", "head", "list", "create", "delete"])
def test_a_missing_bucket_is_never_an_absent_key(s3_client: "S3Client", call: str) -> None:
    """A mistyped bucket is an error in every call, also in HEAD, whose answer does not say."""
    store = S3Store(s3_client, f"no-such-bucket-{secrets.token_hex(4)}", "lake")
    acts: dict[str, Callable[[], object]] = {
        "get": lambda: store.get("a"),
        "head": lambda: store.head("a"),
        "list": lambda: list(store.list()),
        "create": lambda: store.create("a", b""),
        "delete": lambda: store.delete("a"),
    }

    with pytest.raises(StorageError, match="the bucket does not exist"):
        acts[call]()


def test_a_pinned_read_sends_if_match_and_names_the_change(store: S3Store, stub: Stubber) -> None:
    """The etag goes out quoted, and 412 says that the object changed."""
    wanted = {"Bucket": "bucket", "Key": "lake/a", "IfMatch": '"0123"', "Range": "bytes=2-4"}
    stub.add_client_error("get_object", "PreconditionFailed", "", 412, expected_params=wanted)

    with pytest.raises(StorageError, match="changed since it was listed"):
        store.get("a", etag="0123", start=2, end=5)


def test_a_server_that_ignores_ranges_gives_the_range_all_the_same(store: S3Store, stub: Stubber) -> None:
    """The whole object in answer to a range is cut here."""
    stub.add_response("get_object", body(b"0123456789"))

    assert store.get("a", start=2, end=5) == b"234"


def test_a_torn_body_is_read_again(store: S3Store, stub: Stubber) -> None:
    """boto3 does not retry bodies, so the store does."""
    stub.add_response("get_object", body(b"who", length=5))
    stub.add_response("get_object", body(b"whole"))

    assert store.get("a") == b"whole"


def test_a_body_that_is_always_torn_is_a_storage_error(store: S3Store, stub: Stubber) -> None:
    """Torn reads are retried a bounded number of times, and half an object is never returned."""
    for _ in range(ATTEMPTS):
        stub.add_response("get_object", body(b"who", length=5))

    with pytest.raises(StorageError, match=f"whole in {ATTEMPTS} tries.*IncompleteRead"):
        store.get("a")


def test_a_connection_that_breaks_in_the_body_is_read_again() -> None:
    """The same over a real connection that closes after three of five bytes."""
    with torn_server(torn=2) as url:
        assert store_of(client_of(url)).get("a") == b"whole"


def test_a_lost_answer_to_a_create_is_recognised_as_ours(s3_server: str) -> None:
    """The write lands, its answer is lost, boto3 tries again and gets 412: the object is ours."""
    store = store_with_lost_answers(s3_server, lost=1, attempts=2)

    outcome = store.create("log/1", b"ours")

    assert outcome is Create.SAME
    assert store.get("log/1") == b"ours"


def test_a_lost_answer_on_every_retry_is_found_by_reading_back(s3_server: str) -> None:
    """No answer ever comes, but the key can be read."""
    store = store_with_lost_answers(s3_server, lost=100, attempts=2)

    assert store.create("log/1", b"ours") is Create.SAME


def test_a_create_that_reached_nobody_is_unknown_and_can_be_repeated(s3_server: str) -> None:
    """With writes and reads cut off the state is unknown; when they return, the next run succeeds."""
    store = store_with_lost_answers(s3_server, lost=ATTEMPTS, attempts=1, also_reads=True)

    with pytest.raises(CommitStateUnknown, match="ConnectionClosedError"):
        store.create("log/1", b"ours")

    assert store.create("log/1", b"ours") is Create.SAME


def test_damaged_uploads_are_refused_by_the_checksum(s3_server: str) -> None:
    """Bytes that change between us and the store are never stored."""
    client = client_of(s3_server)
    client.create_bucket(Bucket="damaged")
    store = S3Store(client, "damaged")
    client.meta.events.register("before-call.s3.PutObject", lambda params, **_: params.update(body=b"0urs"))

    with pytest.raises(StorageError, match="BadDigest"):
        store.create("log/1", b"ours")

    assert store.get("log/1") is None


def test_a_listing_skips_the_folders_that_consoles_leave(store: S3Store, stub: Stubber) -> None:
    """Keys that end in '/' are no objects, and the root's own marker is no empty key."""
    moment = datetime(2023, 10, 2, 16, 35, 30, 900_000, tzinfo=timezone(timedelta(hours=2)))
    contents = [
        {"Key": key, "Size": 0, "ETag": '"0123"', "LastModified": moment}
        for key in ("lake/", "lake/exports/", "lake/exports/a.json")
    ]
    stub.add_response("list_objects_v2", {"Contents": contents, "IsTruncated": False})

    infos = list(store.list())

    assert [(info.key, info.etag, info.last_modified) for info in infos] == [
        ("exports/a.json", "0123", "2023-10-02T14:35:30Z")
    ]


def test_a_listing_that_fails_on_its_second_page_fails(store: S3Store, stub: Stubber) -> None:
    """A broken listing is an error, never a short listing."""
    item = {"Key": "lake/a", "Size": 0, "ETag": '"0"', "LastModified": datetime(2023, 10, 2, tzinfo=UTC)}
    stub.add_response("list_objects_v2", {"Contents": [item], "IsTruncated": True, "NextContinuationToken": "next"})
    refuse(stub, "list_objects_v2", status=500, code="InternalError")
    listing = store.list()

    assert next(listing).key == "a"
    with pytest.raises(StorageError, match="InternalError"):
        next(listing)


def test_error_texts_hold_no_signatures(store: S3Store, stub: Stubber) -> None:
    """Queries, users and access key ids in boto3's texts are not passed on, nor is the error they came from."""
    leak = "see https://user:secret@host/bucket/a?X-Amz-Signature=f00d&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE/s3 now"
    refuse(stub, "get_object", status=400, code="Odd", message=f"{leak}; ASIAIOSFODNN7EXAMPLE")

    with pytest.raises(StorageError) as raised:
        store.get("a")

    assert "see https://host/bucket/a?<redacted> now; <access key id>" in str(raised.value)
    assert raised.value.__suppress_context__


def test_errors_without_an_answer_are_redacted_too() -> None:
    """Connection errors name the url they failed on, with its query."""
    error = ReadTimeoutError(endpoint_url="https://host/bucket?list-type=2&prefix=patients")

    assert text_of(error) == 'ReadTimeoutError: Read timeout on endpoint URL: "https://host/bucket?<redacted>"'
    assert redacted("plain text? yes") == "plain text? yes"


def store_with_lost_answers(url: str, *, lost: int, attempts: int, also_reads: bool = False) -> S3Store:
    """A store whose first `lost` writes reach the server while their answers do not reach us."""
    client = client_of(url, attempts=attempts)
    bucket = f"lost-{secrets.token_hex(8)}"
    client.create_bucket(Bucket=bucket)
    left = {"put": lost, "get": lost if also_reads else 0}

    def lose(name: str) -> None:
        if left[name]:
            left[name] -= 1
            raise ConnectionClosedError(endpoint_url=url)

    def send_and_lose(request: AWSPreparedRequest, **_: object) -> None:
        if left["put"]:
            URLLib3Session(proxies={}).send(request)
        lose("put")

    client.meta.events.register("before-send.s3.PutObject", send_and_lose)
    client.meta.events.register("before-send.s3.GetObject", lambda **_: lose("get"))
    return S3Store(client, bucket, pause=lambda seconds: None)


@contextmanager
def torn_server(*, torn: int) -> Iterator[str]:
    """An HTTP server that breaks off its first `torn` bodies."""
    left = [torn]

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", "5")
            self.end_headers()
            self.wfile.write(b"who" if left[0] else b"whole")
            left[0] = max(0, left[0] - 1)
            self.close_connection = True

        def log_message(self, format: str, *args: object) -> None:
            """Keep the test's output clean."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
