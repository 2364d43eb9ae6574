"""B: what the bytes of a file can be, before anybody asks what they say."""

import gzip
import io
import struct
import zipfile
import zlib

from tests import factories as make
from tests.hostile.case import Case, Delivery, Expected, accepted, beside, neighbour, one, refused, row_quarantined

PART = 2**20
BOMB = 2 * 2**30  # bytes that the bombs unpack to
OVER = 5 * 2**30 + 1  # more than the reader takes


def export() -> bytes:
    """A legal export of two rows with one object each, and a word that is not ASCII."""
    return make.encode([make.image_row(make.box(name="Straße")), neighbour()])


def cut() -> list[Delivery]:
    """The export cut off after each sixteenth."""
    data = export()
    return [
        Delivery(data=data[: len(data) * part // 16], expected=refused("truncated_json", "not_json"))
        for part in range(1, 16)
    ]


def broken_utf8() -> list[Delivery]:
    """A byte that starts nothing, an overlong slash, half a character, a surrogate: in texts read and unread.

    Such bytes end where their row ends, so they cost no other row.
    """
    rows = make.encode([make.image_row(make.box(name="PLACE"), data_title="TITLE"), neighbour()])
    pieces = (b"\xff", b"\xc0\xaf", b"\xe2\x82", b"\xed\xa0\x80")
    return [
        Delivery(data=rows.replace(place, piece), expected=row_quarantined("row_unreadable"))
        for place in (b"PLACE", b"TITLE")
        for piece in pieces
    ]


def nul_bytes() -> list[Delivery]:
    """NUL instead of an export, behind one, between two rows, and inside a text."""
    data = export()
    return [
        Delivery(data=bytes(4096), expected=refused("not_json")),
        Delivery(data=data + bytes(512), expected=refused("not_json")),
        Delivery(data=data.replace(b"}, {", b"}, \0{", 1), expected=refused("not_json")),
        Delivery(data=data.replace(b"bounding_box", b"bounding\0box", 1), expected=refused("not_json")),
    ]


def packed_by_gzip() -> list[Delivery]:
    """Whole, in two members as appending writes it, cut off, and with a damaged checksum."""
    data, other = export(), make.encode([make.image_row(make.box(), label_hash="another-row")])
    half = len(data) // 2
    members = gzip.compress(data[:half], mtime=0) + gzip.compress(data[half:], mtime=0)
    whole = gzip.compress(other, mtime=0)
    return [
        Delivery(data=gzip.compress(data, mtime=0), expected=accepted(2)),
        Delivery(data=members, expected=accepted(2)),
        Delivery(data=whole[: len(whole) // 2], expected=refused("damaged_archive")),
        Delivery(data=whole[:-8] + bytes(4) + whole[-4:], expected=refused("damaged_archive")),
    ]


def gzip_bomb() -> bytes:
    """2 MB that become 2 GiB of blanks in front of an export; blanks are legal JSON."""
    blanks, end = b" " * PART, b"[]"
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    header = gzip.compress(b"", mtime=0)[:10]
    part = packer.compress(blanks) + packer.flush(zlib.Z_FULL_FLUSH)  # stands for itself, so it can be repeated
    last = packer.compress(end) + packer.flush()
    checksum = 0
    for _ in range(BOMB // PART):
        checksum = zlib.crc32(blanks, checksum)
    trailer = struct.pack("<II", zlib.crc32(end, checksum), (BOMB + len(end)) % 2**32)
    return header + part * (BOMB // PART) + last + trailer


def zipped(members: dict[str, bytes]) -> bytes:
    """A zip archive."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(zipfile.ZipInfo(name), data, zipfile.ZIP_DEFLATED)
    return file.getvalue()


def zip_archives() -> list[Delivery]:
    """A zip of an export, one whose member's name climbs out of its folder, and one that is cut off."""
    other = make.encode([make.image_row(make.box(), label_hash="row-in-zip-2")])
    whole = zipped({"export.json": export()})
    return [
        Delivery(data=whole, expected=accepted(2)),
        Delivery(data=zipped({"../../x.json": other}), expected=accepted(1)),
        Delivery(data=whole[: len(whole) // 2], expected=refused("damaged_archive")),
    ]


def web_pages() -> list[Delivery]:
    """A login page, S3's error document, and a page behind a byte order mark."""
    page = b"<!DOCTYPE html>\n<html><body>Please sign in</body></html>"
    error = b'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>AccessDenied</Code></Error>'
    return [Delivery(data=data, expected=refused("html_not_json")) for data in (page, error, b"\xef\xbb\xbf " + page)]


CASES = (
    Case(id="B01", name="empty file", make=lambda: one(b"", refused("empty_file"))),
    Case(id="B02", name="white space only", make=lambda: one(b" \r\n\t \n", refused("empty_file"))),
    Case(id="B03", name="cut off after every sixteenth", make=cut, together=True),
    Case(
        id="B04",
        name="byte order mark",
        make=lambda: one(b"\xef\xbb\xbf" + beside(make.image_row(make.box())), accepted(2)),
    ),
    Case(id="B05", name="UTF-16", make=lambda: one(export().decode().encode("utf-16"), refused("not_json"))),
    Case(
        id="B06",
        name="broken and overlong UTF-8",
        make=broken_utf8,
    ),
    Case(id="B07", name="nul bytes", make=nul_bytes),
    Case(id="B08", name="gzip that nobody announced", make=packed_by_gzip),
    Case(
        id="B09",
        name="gzip bomb",
        make=lambda: one(gzip_bomb(), refused("archive_bomb")),
        heavy=True,
        slow=True,
    ),
    Case(id="B10", name="zip", make=zip_archives),
    Case(id="B11", name="web page saved as JSON", make=web_pages),
    Case(
        id="B12",
        name="over the size limit",
        make=lambda: [Delivery(sparse=OVER, expected=Expected(status="quarantined", refused=frozenset({"too_large"})))],
        heavy=True,
        slow=True,
    ),
)
