"""A bucket of many exports as boto3's client sees it, without a server: its pages are made here."""

import re
from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

import boto3
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.compat import HTTPHeaders

from encord_dagster.landing import exports_in
from encord_dagster.storage.s3 import S3Store

PAGE = 1000
BODY = b'[{"export_hash": "an-export"}]'
_TIME = "2026-01-02T03:04:05.000Z"
_ETAG = "d41d8cd98f00b204e9800998ecf8427e"


class Landing:
    """So many exports below `street/`, each with a few bytes."""

    def __init__(self, count: int) -> None:
        self._count = count
        client = boto3.session.Session().client(
            "s3",
            region_name="eu-west-1",
            aws_access_key_id="x",
            aws_secret_access_key="x",  # noqa: S106 - no server
        )
        client.meta.events.register("before-send.s3", self._answer)  # type: ignore[arg-type]  # this event's may answer
        self.store = S3Store(client, "exports", "street")

    @property
    def ids(self) -> list[str]:
        """The ids of all exports."""
        return [export.id for export in exports_in(self.store)]

    def add(self, more: int) -> None:
        """So many exports come behind the others."""
        self._count += more

    def _answer(self, request: AWSPreparedRequest, **_: object) -> AWSResponse:
        url = str(request.url)
        asked = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
        data = self._page(asked) if "list-type" in asked else BODY
        headers = HTTPHeaders()
        headers["ETag"], headers["Content-Length"] = f'"{_ETAG}"', str(len(data))
        return AWSResponse(url, 200, headers, _Body(data))

    def _page(self, asked: dict[str, str]) -> bytes:
        after = asked.get("continuation-token") or asked.get("start-after", "")
        found = re.search(r"(\d{7})\.json", after)
        start = int(found[1]) + 1 if found else 0
        stop = min(start + PAGE, self._count)
        more = f"<NextContinuationToken>{stop - 1:07}.json</NextContinuationToken>" if stop < self._count else ""
        listed = "".join(
            f"<Contents><Key>street/{number:07}.json</Key><LastModified>{_TIME}</LastModified>"
            f"<ETag>&quot;{_ETAG}&quot;</ETag><Size>{len(BODY)}</Size><StorageClass>STANDARD</StorageClass></Contents>"
            for number in range(start, stop)
        )
        truncated = f"<IsTruncated>{str(bool(more)).lower()}</IsTruncated>"
        head = (
            f"<Name>exports</Name><KeyCount>{stop - start}</KeyCount><EncodingType>url</EncodingType>{truncated}{more}"
        )
        name = '<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
        return f'<?xml version="1.0" encoding="UTF-8"?>\n{name}{head}{listed}</ListBucketResult>'.encode()


class _Body:
    def __init__(self, data: bytes) -> None:
        self._data = data

    def stream(self, **_: object) -> Iterator[bytes]:
        yield self._data

    def read(self, amt: int | None = None, **_: object) -> bytes:
        data, self._data = self._data[:amt], self._data[len(self._data) if amt is None else amt :]
        return data
