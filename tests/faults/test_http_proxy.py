"""Faults between boto3 and an S3 server: a proxy loses, cuts, delays and refuses what passes."""

import secrets
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import boto3
import msgspec
import pytest
from botocore.config import Config

from encord_dagster.errors import AccessDenied, CommitStateUnknown, EncordDagsterError, StorageError, UnsafeStore
from encord_dagster.landing import exports_in
from encord_dagster.outcomes import Batch
from encord_dagster.pipeline import ingest
from encord_dagster.storage.s3 import ATTEMPTS, S3Store
from tests.faults.proxy import Kind, Proxy, Rule, proxy_before
from tests.faults.stage import CONFIG, FIRST, FOREIGN, NAME, SECOND, content, published, seen, sound_lake
from tests.lakes import Desk

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

CLIENT_TRIES = 2
BUDGET = CLIENT_TRIES * ATTEMPTS  # tries of one create before it is given up
COMMIT = f"label_sets/{NAME}/log/"
Survived = Callable[[int], None]
on_s3 = {"on": ("s3",)}


def client_of(url: str, *, secret: str = "test") -> "S3Client":
    """A client that soon gives up."""
    retries = Config(
        retries={"mode": "standard", "total_max_attempts": CLIENT_TRIES},
        connect_timeout=1,
        read_timeout=0.5,
        s3={"addressing_style": "path"},
        proxies={},
    )
    session = boto3.session.Session("test", secret, region_name="us-east-1")
    return session.client("s3", endpoint_url=url, config=retries)


class Line(msgspec.Struct):
    """A landing prefix and a lake in one bucket, reached through a proxy, and the lake without it."""

    proxy: Proxy
    landing: S3Store
    lake: S3Store
    direct: S3Store

    def deliver(self, key: str, data: bytes) -> None:
        """Put an export there past the proxy."""
        S3Store(self.direct._client, "line", self.landing.url.rpartition("/")[2]).put_hint(key, data)

    def ingest(self) -> Batch:
        """Bring all exports in, through the proxy."""
        return ingest(list(exports_in(self.landing)), landing=self.landing, lake=self.lake, config=CONFIG)

    def spoil(self, kind: Kind, **more: object) -> Rule:
        """Let the next requests that fit fare badly."""
        rule = msgspec.convert({"kind": kind, **more}, Rule)
        self.proxy.rules.append(rule)
        return rule

    def recovers(self) -> None:
        """Without faults a run leaves one version of the delivered export."""
        self.proxy.rules.clear()
        self.ingest()
        assert published(self.direct) == published(SOUND)
        assert seen(self.direct) == seen(SOUND)


SOUND = sound_lake(FIRST).lake


@pytest.fixture(scope="module", params=["s3", pytest.param("radosgw", marks=pytest.mark.slow)])
def proxy(request: pytest.FixtureRequest) -> Iterator[Proxy]:
    """A proxy before an S3 server."""
    with proxy_before(request.getfixturevalue(f"{request.param}_server")) as running:
        yield running


@pytest.fixture(scope="module")
def client(proxy: Proxy) -> "S3Client":
    """A client that speaks through the proxy."""
    return client_of(proxy.url)


@pytest.fixture
def line(proxy: Proxy, client: "S3Client", request: pytest.FixtureRequest) -> Iterator[Line]:
    """A delivered export and an empty lake, no fault yet."""
    proxy.rules.clear()
    s3_client = request.getfixturevalue(f"{request.node.callspec.params['proxy']}_client")
    s3_client.create_bucket(Bucket="line")
    place = secrets.token_hex(6)
    landing, lake = (S3Store(client, "line", f"{kind}-{place}", pause=_not) for kind in ("landing", "lake"))
    made = Line(proxy, landing, lake, S3Store(s3_client, "line", f"lake-{place}"))
    made.deliver("0.json", FIRST)
    yield made
    proxy.rules.clear()


def _not(seconds: float) -> None:
    """Do not wait."""


def survives(line: Line, *rules: Rule) -> None:
    """The run itself publishes in spite of the faults, and every fault was met."""
    line.ingest()

    assert all(rule.met == rule.skip + rule.times for rule in rules)
    assert published(line.direct) == published(SOUND)
    assert seen(line.direct) == seen(SOUND)


def fails_cleanly(line: Line, rule: Rule) -> EncordDagsterError:
    """The run fails with an error of ours, readers see nothing, and the next run publishes."""
    with pytest.raises(StorageError) as raised:
        line.ingest()

    assert rule.met
    assert seen(line.direct) in (None, seen(SOUND))
    line.recovers()
    return raised.value


@pytest.mark.faults("F04", **on_s3)
@pytest.mark.parametrize("times", [1, CLIENT_TRIES, CLIENT_TRIES + 1])
def test_a_commit_whose_answer_is_lost_is_recognised_as_ours(line: Line, times: int) -> None:
    """boto3 sends it again and gets 412 for our own record, or gives up: reading back tells."""
    rule = line.spoil("lost", part=COMMIT, times=times)

    line.ingest()

    assert rule.met in (times, CLIENT_TRIES)  # found by reading back before it is sent again
    assert published(line.direct) == published(SOUND)


@pytest.mark.faults("F05", **on_s3)
def test_a_commit_that_is_never_answered_nor_read_is_unknown(line: Line) -> None:
    """Neither write nor read gets an answer: CommitStateUnknown, and the next run finds the record there."""
    line.spoil("lost", part=COMMIT, times=1000)
    line.spoil("reset", method="GET", part=COMMIT, times=1000)

    with pytest.raises(CommitStateUnknown):
        line.ingest()

    assert published(line.direct) == published(SOUND)
    line.recovers()


@pytest.mark.faults("F06", **on_s3)
@pytest.mark.parametrize("part", ["/objects/", "/exports/", "/raw/", "/categories/", "/probes/"])
def test_a_write_whose_answer_is_lost_is_read_back(line: Line, part: str) -> None:
    """The run goes on."""
    survives(line, line.spoil("lost", part=part))


@pytest.mark.faults("F07", **on_s3)
@pytest.mark.parametrize("times", [1, 2])
def test_a_409_on_an_absent_commit_sends_the_same_bytes_again(line: Line, times: int) -> None:
    """Nobody won: the slot is still free, and there is one version."""
    survives(line, line.spoil("status", part=COMMIT, times=times, status=409, code="ConditionalRequestConflict"))


@pytest.mark.faults("F08", **on_s3)
@pytest.mark.parametrize("status", [409, 412])
def test_a_conflict_with_a_rivals_record_joins_on_top_of_it(line: Line, status: int) -> None:
    """The rival commits just before: its record stays, and ours comes next."""
    rival = Desk(line.direct, CONFIG)
    create = line.lake.create

    def late(key: str, data: bytes) -> object:
        if COMMIT in key and not line.proxy.rules:
            rival.bring("foreign.json", FOREIGN)
            line.spoil("status", part=COMMIT, status=status, code="ConditionalRequestConflict")
        return create(key, data)

    line.lake.create = late  # type: ignore[method-assign, assignment] # a rival between two of our calls
    line.ingest()

    assert [version for version, _ in published(line.direct)] == [1, 2]
    assert content(line.direct) == content(sound_lake(FOREIGN, FIRST).lake)


STATUSES = [(503, "SlowDown"), (500, "InternalError"), (429, "TooManyRequests"), (503, "ServiceUnavailable")]


@pytest.mark.faults("F09", "F10", **on_s3)
@pytest.mark.parametrize(("status", "code"), STATUSES)
@pytest.mark.parametrize("part", [COMMIT, "/objects/"], ids=["commit", "object"])
def test_a_burst_shorter_than_the_retries_is_not_noticed(line: Line, status: int, code: str, part: str) -> None:
    """One try short of the last, and the write lands."""
    survives(line, line.spoil("status", part=part, times=BUDGET - 1, status=status, code=code))


@pytest.mark.faults("F09", "F10", **on_s3)
@pytest.mark.parametrize(("status", "code"), STATUSES[:3])
@pytest.mark.parametrize("method", ["PUT", "GET", "HEAD"])
def test_a_burst_longer_than_the_retries_fails_cleanly(line: Line, method: str, status: int, code: str) -> None:
    """The error is named, nothing half is visible, and the next run publishes."""
    part = "label_sets" if method != "GET" else COMMIT.replace("/", "%2F")
    error = fails_cleanly(line, line.spoil("status", method=method, part=part, times=1000, status=status, code=code))

    assert str(status) in str(error)


@pytest.mark.faults("F10", **on_s3)
@pytest.mark.parametrize("kind", ["reset", "torn_request"])
@pytest.mark.parametrize("part", [COMMIT, "/objects/", "/raw/"])
def test_a_connection_that_breaks_is_opened_again(line: Line, kind: Kind, part: str) -> None:
    """Reset at once, or with half of the request sent."""
    survives(line, line.spoil(kind, part=part, times=CLIENT_TRIES))


@pytest.mark.faults("F10", **on_s3)
@pytest.mark.parametrize("url", ["http://no-such-host.invalid", "https://127.0.0.1:{port}", "http://127.0.0.1:9"])
def test_a_server_that_cannot_be_reached_is_a_storage_error(line: Line, url: str) -> None:
    """No such host, no TLS, no listener: before anything is written, and said without a trace of boto3."""
    client = client_of(url.format(port=line.proxy.url.rpartition(":")[2]))
    lake = S3Store(client, "line", line.lake.url.rpartition("/")[2], pause=_not)

    with pytest.raises(StorageError):
        ingest(list(exports_in(line.landing)), landing=line.landing, lake=lake, config=CONFIG)

    assert published(line.direct) == []
    line.recovers()


@pytest.mark.faults("F11", **on_s3)
@pytest.mark.parametrize("kind", ["slow", "slow_answer"])
@pytest.mark.parametrize("part", [COMMIT, "/objects/"], ids=["commit", "object"])
def test_a_write_that_takes_too_long_is_asked_after(line: Line, kind: Kind, part: str) -> None:
    """The client stops waiting before or after the server acted; in the first case its write lands later still."""
    survives(line, line.spoil(kind, part=part))


@pytest.mark.faults("F11", **on_s3)
def test_a_read_that_takes_too_long_is_tried_again(line: Line) -> None:
    """The answer to a GET comes too late once."""
    survives(line, line.spoil("slow_answer", method="GET", part="/landing", skip=1))


@pytest.mark.faults("F12", **on_s3)
@pytest.mark.parametrize("part", [COMMIT, "/0.json"], ids=["record", "export"])
@pytest.mark.parametrize("times", [1, ATTEMPTS - 1])
def test_a_torn_answer_is_read_again(line: Line, part: str, times: int) -> None:
    """boto3 does not retry bodies that break off; the store does."""
    survives(line, line.spoil("torn_answer", method="GET", part=part, times=times))


@pytest.mark.faults("F13", **on_s3)
@pytest.mark.parametrize("part", [f"{COMMIT}0", "/events-", "/objects/"], ids=["record", "events", "object"])
def test_wrong_bytes_of_the_right_length_are_refused(line: Line, part: str, survived: Survived) -> None:
    """Whatever read they come in, no wrong version is made of them."""
    line.ingest()
    line.proxy.rules.clear()
    line.deliver("1.json", SECOND)
    rule = line.spoil("wrong_bytes", method="GET", part=part, times=1000)

    with pytest.raises(EncordDagsterError):
        line.ingest()

    assert rule.met
    assert published(line.direct) == published(SOUND)
    line.proxy.rules.clear()
    line.ingest()
    assert content(line.direct) == content(sound_lake(FIRST, SECOND).lake)
    survived(rule.met)


@pytest.mark.faults("F15", **on_s3)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_403_is_never_an_absent_key(line: Line, method: str) -> None:
    """Without s3:ListBucket a missing key is a 403: the run stops, and does not begin a second history."""
    part = "label_sets" if method == "HEAD" else "latest.json"
    rule = line.spoil("status", method=method, part=part, times=1000, status=403, code="AccessDenied")

    error = fails_cleanly(line, rule)

    assert isinstance(error, AccessDenied)
    assert "s3:ListBucket" in str(error)


@pytest.mark.slow
@pytest.mark.faults("F15", on=("radosgw",))
def test_a_wrong_secret_is_never_an_absent_key(radosgw_server: str, radosgw_client: "S3Client") -> None:
    """A server that checks signatures says 403 to each call, also of keys that do not exist."""
    radosgw_client.create_bucket(Bucket="line")
    desk = sound_lake(FIRST, lake=S3Store(radosgw_client, "line", f"lake-{secrets.token_hex(6)}"))
    wrong = S3Store(client_of(radosgw_server, secret="wrong"), "line", desk.lake.url.rpartition("/")[2], pause=_not)

    for act in (lambda: wrong.get("absent"), lambda: wrong.head("absent"), lambda: list(wrong.list())):
        with pytest.raises(AccessDenied):
            act()
    with pytest.raises(AccessDenied):
        wrong.create("absent", b"")
    desk.lake, good = wrong, desk.lake
    with pytest.raises(AccessDenied):
        desk.bring("1.json", SECOND)

    assert published(good) == published(SOUND)


@pytest.mark.faults("F16", **on_s3)
@pytest.mark.parametrize(("status", "code"), [(400, "ExpiredToken"), (403, "RequestTimeTooSkewed")])
@pytest.mark.parametrize("skip", [0, 3, 9])
def test_credentials_that_expire_in_mid_run_fail_it_cleanly(line: Line, status: int, code: str, skip: int) -> None:
    """From some write on each is refused; with new credentials the next run publishes."""
    rule = line.spoil("status", part="/lake", times=1000, skip=skip, status=status, code=code)

    error = fails_cleanly(line, rule)

    assert isinstance(error, AccessDenied)
    assert code in str(error)


@pytest.mark.faults("F36", **on_s3)
def test_a_multipart_upload_that_was_never_completed_is_invisible(line: Line) -> None:
    """It is not listed, fails nothing, and the export comes in once it is completed."""
    client, prefix = line.direct._client, line.landing.url.rpartition("/")[2]
    begun = client.create_multipart_upload(Bucket="line", Key=f"{prefix}/1.json")
    part = client.upload_part(
        Bucket="line", Key=f"{prefix}/1.json", UploadId=begun["UploadId"], PartNumber=1, Body=SECOND
    )

    first = line.ingest()
    parts = {"Parts": [{"ETag": part["ETag"], "PartNumber": 1}]}
    client.complete_multipart_upload(
        Bucket="line",
        Key=f"{prefix}/1.json",
        UploadId=begun["UploadId"],
        MultipartUpload=parts,  # type: ignore[arg-type] # the stubs want literal keys
    )
    line.ingest()

    assert [outcome.export.key for outcome in first.outcomes] == ["0.json"]
    assert content(line.direct) == content(sound_lake(FIRST, SECOND).lake)


@pytest.mark.faults("F42", **on_s3)
def test_a_server_that_ignores_if_none_match_is_refused_at_start(line: Line, request: pytest.FixtureRequest) -> None:
    """The header is dropped on the way, as by a server that does not know it: nothing but probes is written."""
    if request.node.callspec.params["proxy"] == "radosgw":
        pytest.skip("it checks signatures, and what is signed cannot be dropped on the way")
    line.spoil("naive", times=1000)

    with pytest.raises(UnsafeStore, match="If-None-Match"):
        line.ingest()

    assert {info.key.split("/")[2] for info in line.direct.list()} == {"probes"}
