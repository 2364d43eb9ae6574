"""Pages of a listing come out as botocore reads them, in a tenth of its time."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import boto3
import pytest
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.compat import HTTPHeaders

from encord_dagster.storage.s3_pages import EVENT, read_pages_cheaply

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

TIME = "2026-01-02T03:04:05.678Z"
ETAG = "&quot;d41d8cd98f00b204e9800998ecf8427e-7&quot;"


def item(key: str = "a.json", *, modified: str = TIME, size: str = "12", more: str = "", gap: str = "") -> str:
    """One object of a page."""
    parts = (
        f"<Key>{key}</Key>",
        f"<LastModified>{modified}</LastModified>",
        f"<ETag>{ETAG}</ETag>{more}",
        f"<Size>{size}</Size>",
        "<StorageClass>STANDARD_IA</StorageClass>",
    )
    return f"<Contents>{gap.join(parts)}</Contents>{gap}"


def page(*items: str) -> bytes:
    """A page as S3 answers with."""
    name = '<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
    head = (
        "<Name>b</Name><Prefix/><KeyCount>2</KeyCount><EncodingType>url</EncodingType><IsTruncated>false</IsTruncated>"
    )
    text = f'<?xml version="1.0" encoding="UTF-8"?>\n{name}{head}{"".join(items)}</ListBucketResult>'
    return text.encode()


PAGES = {
    "plain": page(item(), item("b%2Fc.json", size="0")),
    "on many lines": page(item(gap="\n  "), item("b.json", gap="\n  ")),
    "whole seconds": page(item(modified="2026-01-02T03:04:05Z")),
    "encoded keys": page(item("a%20b%2B%C3%A4+c%26d.json")),
    "escaped keys": page(item("a&amp;lt;&lt;&gt;&quot;&apos;.json")),
    "a numbered escape": page(item("a&#x31;.json")),
    "owners": page(item(more="<Owner><ID>o</ID></Owner>"), item("b.json")),
    "checksums": page(item(more="<ChecksumAlgorithm>CRC64NVME</ChecksumAlgorithm>")),
    "another order": page(item().replace("<Size>12</Size>", "").replace("<Key>", "<Size>12</Size><Key>")),
    "another zone": page(item(modified="2026-01-02T03:04:05+02:00")),
    "keys as they are": page(item("ä.json")),
    "nothing": page(),
}


def client_of(answer: bytes) -> "S3Client":
    """A client that is answered so."""
    client = boto3.session.Session().client(
        "s3", region_name="eu-west-1", aws_access_key_id="test", aws_secret_access_key="test"
    )

    class Body:
        def stream(self, **_: object) -> Iterator[bytes]:
            yield answer

    def send(request: AWSPreparedRequest, **_: object) -> AWSResponse:
        return AWSResponse(request.url, 200, HTTPHeaders(), Body())

    client.meta.events.register("before-send.s3", send)  # type: ignore[arg-type]  # this event's may answer
    return client


@pytest.mark.parametrize("answer", PAGES.values(), ids=PAGES)
def test_a_page_is_what_botocore_makes_of_it(answer: bytes) -> None:
    """Keys, times, sizes and whatever else: also where the page is not of the plain form."""
    plain, cheap = client_of(answer), client_of(answer)
    read_pages_cheaply(cheap)

    assert cheap.list_objects_v2(Bucket="b") == plain.list_objects_v2(Bucket="b")


@pytest.mark.parametrize("modified", ["2026-02-30T03:04:05.000Z", "yesterday"])
def test_a_time_that_is_none_is_botocores_error(modified: str) -> None:
    """It is neither guessed nor left out."""
    told = []
    for cheap in (False, True):
        client = client_of(page(item(modified=modified)))
        if cheap:
            read_pages_cheaply(client)
        with pytest.raises(Exception, match="nvalid timestamp") as caught:
            client.list_objects_v2(Bucket="b")
        told.append(str(caught.value))

    assert told[0] == told[1]


def test_of_a_plain_page_botocore_reads_no_object() -> None:
    """They are what it costs."""
    client, left = client_of(page(*(item(f"{number:03}.json") for number in range(100)))), list[bytes]()
    read_pages_cheaply(client)
    client.meta.events.register(EVENT, lambda response_dict, **_: left.append(response_dict["body"]))

    found = client.list_objects_v2(Bucket="b")["Contents"]

    assert len(found) == 100
    assert [b"<KeyCount>" in body and b"<Key>" not in body for body in left] == [True]
