"""An S3 bucket as an object store, over a boto3 client handed in. Imported only where S3 is used."""

import base64
import hashlib
import io
import secrets
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from encord_dagster.errors import AccessDenied, CommitStateUnknown, StorageError, UsageError
from encord_dagster.storage.protocol import Create, ObjectInfo, check_key, check_range, whole_seconds
from encord_dagster.storage.s3_errors import (
    S3_ERRORS,
    TORN_BODY,
    key_is_absent,
    status_of,
    storage_error,
    text_of,
    write_may_have_landed,
)
from encord_dagster.storage.s3_pages import read_pages_cheaply
from encord_dagster.storage.whole import holds

if TYPE_CHECKING:
    from botocore.exceptions import BotoCoreError, ClientError
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import GetObjectRequestTypeDef, ListObjectsV2RequestTypeDef, PutObjectRequestTypeDef

ATTEMPTS = 4  # ours, each on top of the client's own retries


class S3Store:
    """Objects of one bucket below one prefix. Safe to share between threads, as boto3 clients are.

    Errors are raised `from None`: boto3's own texts may hold URLs with queries.
    """

    calls_at_once = 16  # most of a call is waiting; see storage.at_once

    def __init__(
        self, client: "S3Client", bucket: str, prefix: str = "", *, pause: Callable[[float], None] = time.sleep
    ) -> None:
        prefix = prefix.strip("/")
        if not bucket:
            raise UsageError("an S3 store needs the name of a bucket: s3://bucket/prefix")
        if prefix:
            check_key(prefix)
        self.url = f"s3://{bucket}/{prefix}".rstrip("/")
        self._client = client
        self._bucket = bucket
        self._root = f"{prefix}/" if prefix else ""
        self._pause = pause
        read_pages_cheaply(client)

    def create(self, key: str, data: bytes) -> Create:
        """Write `data` at `key` only if nothing is there. CommitStateUnknown where that cannot be learnt."""

        def same() -> bool | None:
            found = self.get(key)
            return None if found is None else found == data

        return self._create(key, data, same)

    def create_file(self, key: str, file: io.BufferedRandom) -> Create:
        """The same of what a file holds, at most 5 GiB, without its bytes in memory."""
        return self._create(key, file, lambda: holds(self, key, file))

    def _create(self, key: str, data: bytes | io.BufferedRandom, same: Callable[[], bool | None]) -> Create:
        check_key(key)
        last = ""
        for attempt in range(ATTEMPTS):
            self._wait(attempt)
            try:
                self._put(key, data, only_if_absent=True)
            except S3_ERRORS as error:
                if not write_may_have_landed(error):
                    raise storage_error(error, action="write", where=self._at(key)) from None
                last = text_of(error)
            else:
                return Create.CREATED
            found = self._read_back(same)
            if found is not None:
                return Create.SAME if found else Create.DIFFERENT
        raise CommitStateUnknown(
            f"{self._at(key)}: sent {ATTEMPTS} times, and no answer says whether it is there (last: {last}); "
            "run again, the same bytes are never written twice"
        )

    def put_hint(self, key: str, data: bytes) -> None:
        """Write or replace `data` at `key`."""
        check_key(key)
        try:
            self._put(key, data, only_if_absent=False)
        except S3_ERRORS as error:
            raise storage_error(error, action="write", where=self._at(key)) from None

    def get(self, key: str, *, etag: str | None = None, start: int = 0, end: int | None = None) -> bytes | None:
        """Bytes `[start, end)` of `key`, None if it does not exist. With `etag`, StorageError if it changed."""
        check_key(key)
        check_range(start, end)
        if end is not None and end <= start:
            return self._nothing_of(key, etag=etag)
        last = ""
        for attempt in range(ATTEMPTS):
            self._wait(attempt)
            try:
                return self._get_once(key, etag=etag, start=start, end=end)
            except TORN_BODY as error:  # boto3 retries requests, but not bodies that break off
                last = text_of(error)
            except S3_ERRORS as error:
                if key_is_absent(error):
                    return None
                if status_of(error) == 416:  # the object ends before `start`
                    return self._nothing_of(key, etag=etag)
                raise self._read_error(error, key, etag=etag) from None
        raise StorageError(f"could not read {self._at(key)} whole in {ATTEMPTS} tries (last: {last}); run again")

    def head(self, key: str) -> ObjectInfo | None:
        """The description of `key`, None if it does not exist."""
        check_key(key)
        try:
            answer = self._client.head_object(Bucket=self._bucket, Key=self._root + key)
        except S3_ERRORS as error:
            if not key_is_absent(error):
                raise storage_error(error, action="read", where=self._at(key)) from None
            # HEAD has no body to say whether the key or the bucket is missing; a listing has.
            next(self.list(key), None)
            return None
        version = answer.get("VersionId")
        return ObjectInfo(
            key=key,
            size=answer["ContentLength"],
            etag=answer["ETag"].strip('"'),
            last_modified=whole_seconds(answer["LastModified"]),
            version_id=None if version == "null" else version,
        )

    def list(self, prefix: str = "", *, start_after: str = "") -> Iterator[ObjectInfo]:
        """All objects whose key starts with `prefix`, ordered by key, a thousand a request; no folder markers."""
        request: ListObjectsV2RequestTypeDef = {"Bucket": self._bucket, "Prefix": self._root + prefix}
        if start_after:
            request["StartAfter"] = self._root + start_after
        while True:
            try:
                page = self._client.list_objects_v2(**request)
            except S3_ERRORS as error:
                raise storage_error(error, action="list", where=self._at(prefix)) from None
            for item in page.get("Contents", ()):
                if not item["Key"].endswith("/"):  # consoles leave empty objects as folders
                    yield ObjectInfo(
                        key=item["Key"].removeprefix(self._root),
                        size=item["Size"],
                        etag=item["ETag"].strip('"'),
                        last_modified=whole_seconds(item["LastModified"]),
                    )
            if not page.get("IsTruncated"):
                return
            request["ContinuationToken"] = page["NextContinuationToken"]

    def delete(self, key: str) -> None:
        """Remove `key`; absent is fine."""
        check_key(key)
        try:
            self._client.delete_object(Bucket=self._bucket, Key=self._root + key)
        except S3_ERRORS as error:
            if not key_is_absent(error):
                raise storage_error(error, action="delete", where=self._at(key)) from None

    def _put(self, key: str, data: bytes | io.BufferedRandom, *, only_if_absent: bool) -> None:
        if isinstance(data, bytes):
            digest = hashlib.sha256(data)
        else:
            data.seek(0)
            digest = hashlib.file_digest(data, "sha256")
            data.seek(0)
        # The store refuses bytes that were damaged on the way.
        checksum = base64.b64encode(digest.digest()).decode()
        request: PutObjectRequestTypeDef = {
            "Bucket": self._bucket,
            "Key": self._root + key,
            "Body": data,
            "ChecksumSHA256": checksum,
            "ChecksumAlgorithm": "SHA256",  # some servers compare the two only when told so
        }
        if only_if_absent:
            request["IfNoneMatch"] = "*"
        self._client.put_object(**request)

    def _get_once(self, key: str, *, etag: str | None, start: int, end: int | None) -> bytes:
        request: GetObjectRequestTypeDef = {"Bucket": self._bucket, "Key": self._root + key}
        ranged = start > 0 or end is not None
        if ranged:
            request["Range"] = f"bytes={start}-{'' if end is None else end - 1}"
        if etag is not None:
            request["IfMatch"] = f'"{etag}"'
        answer = self._client.get_object(**request)
        body: bytes = answer["Body"].read()
        # A server may answer a range with the whole object.
        return body[start:end] if ranged and "ContentRange" not in answer else body

    def _nothing_of(self, key: str, *, etag: str | None) -> bytes | None:
        """No bytes of `key`, as `get` answers: None if it does not exist, StorageError if it changed."""
        info = self.head(key)
        if info is None:
            return None
        if etag is not None and info.etag != etag:
            raise self._changed(key, etag)
        return b""

    def _read_back(self, same: Callable[[], bool | None]) -> bool | None:
        """Whether a key holds what was sent; None also where that cannot be read now, as it can be sent again."""
        try:
            return same()
        except AccessDenied:
            raise
        except StorageError:
            return None

    def _read_error(self, error: "ClientError | BotoCoreError", key: str, *, etag: str | None) -> StorageError:
        if etag is not None and status_of(error) == 412:
            return self._changed(key, etag)
        return storage_error(error, action="read", where=self._at(key))

    def _changed(self, key: str, etag: str) -> StorageError:
        return StorageError(f"{self._at(key)} changed since it was listed (etag {etag}): list again and retry")

    def _at(self, key: str) -> str:
        return f"{self.url}/{key}"

    def _wait(self, attempt: int) -> None:
        if attempt:  # spread, so that racing writers do not meet again
            self._pause(0.1 * 2**attempt * (0.5 + secrets.randbelow(1000) / 1000))
