"""From urls to stores."""

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from encord_dagster.errors import UsageError
from encord_dagster.storage.local import LocalStore
from encord_dagster.storage.memory import MemoryStore
from encord_dagster.storage.open import open_store
from encord_dagster.storage.protocol import Create

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


def test_a_path_and_its_file_url_are_one_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Absolute, relative and percent-encoded ways to a folder meet, and the store's own url leads back."""
    folder = tmp_path / "a b%é"
    monkeypatch.chdir(tmp_path)
    first = open_store(str(folder))
    first.create("x", b"data")

    for url in (folder.as_uri(), first.url, "a b%é", "./a b%é/", f"file://localhost{folder.as_uri()[7:]}"):
        store = open_store(url)

        assert isinstance(store, LocalStore)
        assert store.url == first.url
        assert store.get("x") == b"data"


def test_opening_a_folder_does_not_create_it(tmp_path: Path) -> None:
    """A mistyped landing path stays absent."""
    open_store(str(tmp_path / "lake"))

    assert list(tmp_path.iterdir()) == []


def test_a_memory_name_is_one_store_in_the_process() -> None:
    """Two parts of a program meet in memory by name."""
    store = open_store("memory://test-open-shared")
    store.create("x", b"data")

    assert isinstance(store, MemoryStore)
    assert store.url == "memory://test-open-shared"
    assert open_store("memory://test-open-shared").get("x") == b"data"
    assert open_store("memory://test-open-other").get("x") is None


@pytest.mark.parametrize(
    "url",
    [
        "",
        "s3://",
        "s3:///prefix",
        "s3://bucket/a//b",
        "s3://bucket/../b",
        "memory://",
        "file://",
        "file://host/path",
        "gs://bucket",
        "http://host/bucket",
        "://x",
    ],
)
def test_other_urls_are_refused(url: str) -> None:
    """What cannot be meant is refused with the forms that can."""
    with pytest.raises(UsageError):
        open_store(url)


def test_prefixes_are_folders(s3_client: "S3Client") -> None:
    """With and without a slash at the end a prefix is the same, and a bucket alone is a store too."""
    s3_client.create_bucket(Bucket="open-prefixes")
    store = open_store("s3://open-prefixes/a/b/", client=s3_client)

    store.create("x", b"data")

    assert store.url == "s3://open-prefixes/a/b"
    assert open_store("s3://open-prefixes/a/b", client=s3_client).get("x") == b"data"
    assert [info.key for info in open_store("s3://open-prefixes", client=s3_client).list()] == ["a/b/x"]


def test_without_a_client_the_environment_is_used(
    s3_server: str, s3_client: "S3Client", monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Endpoint and credentials come from boto3's default chain; an own endpoint is asked by path."""
    s3_client.create_bucket(Bucket="open-environment")
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3_server.replace("127.0.0.1", "localhost"))
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("NO_PROXY", "localhost")

    outcome = open_store("s3://open-environment/lake").create("x", b"data")

    assert outcome is Create.CREATED
    body = s3_client.get_object(Bucket="open-environment", Key="lake/x")["Body"].read()
    assert body == b"data"


def test_folders_and_memory_do_not_import_boto3(tmp_path: Path) -> None:
    """A program that uses no bucket does not pay for boto3."""
    program = (
        "import sys; from encord_dagster.storage.open import open_store; import encord_dagster.storage.selftest;"
        "open_store('memory://x').create('a', b''); open_store(sys.argv[1]).create('a', b'');"
        "print([name for name in ('boto3', 'botocore') if name in sys.modules])"
    )

    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "lake")], capture_output=True, text=True, check=True
    )

    assert done.stdout.strip() == "[]"
