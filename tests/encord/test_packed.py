"""Packed deliveries: what is unpacked, what is refused, and that a bomb takes no memory."""

import gzip
import io
import json
import random
import struct
import subprocess
import sys
import tracemalloc
import zipfile
from collections.abc import Callable

import pytest

from encord_dagster.encord import packed
from encord_dagster.encord.packed import Part, glance, unpack, unpack_parts
from encord_dagster.errors import ExportError
from tests import factories as make

ROW = make.encode([make.image_row(make.box(), make.polygon())])
NOISE = random.Random(5).randbytes(300_000)


def zipped(*files: tuple[str | zipfile.ZipInfo, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """The files in a zip archive, in this order."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, content in files:
            archive.writestr(name, content, method)
    return file.getvalue()


def unix(name: str, mode: int) -> zipfile.ZipInfo:
    """An entry with a file mode."""
    info = zipfile.ZipInfo(name)
    info.create_system, info.external_attr = 3, mode << 16
    return info


def refusal(data: bytes) -> tuple[str, str]:
    """Why a delivery is refused, and what is said."""
    with pytest.raises(ExportError) as caught:
        unpack(data)
    return caught.value.reason, str(caught.value)


def test_what_is_not_packed_is_handed_on() -> None:
    """The same bytes, not a copy."""
    assert unpack(ROW) is ROW
    assert unpack_parts(ROW).parts == (Part(0, len(ROW)),)


@pytest.mark.parametrize(
    "data",
    [
        gzip.compress(ROW),
        gzip.compress(ROW[:1000]) + gzip.compress(b"") + gzip.compress(ROW[1000:]),
        gzip.compress(ROW) + b"\0" * 512,
        zipped(("a.json", ROW)),
        zipped(("a.json", ROW), method=zipfile.ZIP_STORED),
        zipped(("/../.././etc/a.JSON", ROW)),
        zipped(("a.json", ROW), ("picture.png", NOISE), ("folder.json/", b""), ("b.ontology.json", b"{}")) + b"",
        zipped(("__MACOSX/._a.json", b"x"), ("d/.b.json", b"x"), (".git/c.json", b"x"), ("e/a.jsonl", ROW)),
        zipped((unix("link.json", 0o120777), b"/etc/passwd"), (unix("a.ndjson", 0o100644), ROW)),
    ],
    ids=["gzip", "gzip members", "padding", "zip", "stored", "path", "others", "hidden", "link"],
)
def test_gzip_and_zip_are_unpacked(data: bytes) -> None:
    """Known by their bytes; in a zip only files count that can hold rows."""
    assert unpack(data) == ROW


def test_files_of_a_zip_come_by_name_with_their_places() -> None:
    """A line feed lies between them. Two files of one name are two files."""
    with pytest.warns(UserWarning, match="Duplicate name"):
        data = zipped(("b.json", b"[2]"), ("a.json", b"[1]"), ("b.json", b"[3, 3]"))

    found = unpack_parts(data)

    assert found.data == b"[1]\n[2]\n[3, 3]"
    assert [found.data[part.start : part.end] for part in found.parts] == [b"[1]", b"[2]", b"[3, 3]"]
    assert found.parts[0].title == "file 1 of 3 in the zip"


def test_labels_that_stand_still_through_a_video_are_no_bomb() -> None:
    """They pack far better than 1:100."""
    box = make.box()
    frames = {str(frame): {"objects": [box], "classifications": []} for frame in range(20_000)}
    data = make.encode([make.changed(make.video_row({}), frames, "data_units", "video-0", "labels")])
    small = gzip.compress(data)

    assert len(data) > 100 * len(small) > 2**20
    assert unpack(small) == data


def test_a_small_regular_export_may_pack_as_well_as_it_can() -> None:
    """What is small does no harm."""
    data = b"[" + b" " * 900_000 + b"]"

    assert len(data) > 500 * len(gzip.compress(data))
    assert unpack(gzip.compress(data)) == data


def overlapping() -> bytes:
    """A zip whose table of contents names one file's bytes fifty times."""
    data = zipped(("a.json", NOISE))
    at = data.index(b"PK\x01\x02")
    end = data.index(b"PK\x05\x06")
    entry = data[at:end]
    entries = b"".join(entry.replace(b"a.json", b"%c.json" % (65 + number)) for number in range(50))
    tail = struct.pack("<4sHHHHIIH", b"PK\x05\x06", 0, 0, 50, 50, len(entries), at, 0)
    return data[:at] + entries + tail


def lying(data: bytes, size: int) -> bytes:
    """A zip whose two headers tell another size of its one file."""
    changed = bytearray(data)
    struct.pack_into("<I", changed, 22, size)
    struct.pack_into("<I", changed, data.index(b"PK\x01\x02") + 24, size)
    return bytes(changed)


ZEROS = gzip.compress(b"\0" * 10_000_000)
ZIPPED_ZEROS = zipped(("a.json", b"\0" * 10_000_000))


@pytest.mark.parametrize(
    "bomb",
    [
        ZEROS,
        ZEROS[:-8],
        b"".join(gzip.compress(b"\0" * 100_000) for _ in range(100)),
        ZIPPED_ZEROS,
        lying(ZIPPED_ZEROS, 1_100_000_000),
        zipped(*((f"{number}.json", b"\0" * 100_000) for number in range(100))),
        overlapping(),
    ],
    ids=["gzip", "cut off", "members", "zip", "lying zip", "many files", "overlap"],
)
def test_a_bomb_is_refused_before_it_has_gone_off(bomb: bytes) -> None:
    """The memory it takes is that of the small part unpacked until then."""
    tracemalloc.start()
    try:
        reason, message = refusal(bomb)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert reason == "archive_bomb"
    assert "again" in message
    assert peak < 250 * len(bomb) + 4 * 2**20


def test_a_zip_of_more_files_than_can_be_is_refused_before_they_are_listed() -> None:
    """A table of contents takes more memory than the zip itself."""
    entry = struct.pack("<4s6H3I5H2I", b"PK\x01\x02", *[0] * 9, 1, *[0] * 6) + b"a"
    entries = entry * 1_000_000
    bomb = b"PK\x03\x04" + entries + struct.pack("<4sHHHHIIH", b"PK\x05\x06", 0, 0, 0, 0, len(entries), 4, 0)

    tracemalloc.start()
    try:
        reason, message = refusal(bomb)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert reason == "too_large"
    assert "10000 files" in message
    assert peak < 2**20


def test_ten_thousand_files_are_read() -> None:
    """Label Sets of as many rows, one file each."""
    data = zipped(*((f"{number:05}.json", b"[]") for number in range(10_000)))

    assert len(unpack_parts(data).parts) == 10_000


@pytest.mark.parametrize("pack", [gzip.compress, lambda data: zipped(("a.json", data))])
def test_more_bytes_than_are_read_are_refused(pack: Callable[[bytes], bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    """Packed or unpacked."""
    data = pack(NOISE)

    monkeypatch.setattr(packed, "LARGEST_EXPORT", len(NOISE) - 1)
    assert refusal(data)[0] == "too_large"
    monkeypatch.setattr(packed, "LARGEST_EXPORT", len(data))
    assert unpack(data) == NOISE


def encrypted() -> bytes:
    """A zip that says it is encrypted."""
    data = bytearray(zipped(("a.json", ROW)))
    data[6] |= 1
    data[data.index(b"PK\x01\x02") + 8] |= 1
    return bytes(data)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"(\xb5/\xfd" + ROW, "zstd"),
        (b"BZh9" + ROW, "bzip2"),
        (gzip.compress(gzip.compress(ROW)), "gzip file holds a gzip file"),
        (gzip.compress(zipped(("a.json", ROW))), "gzip file holds a zip file"),
        (zipped(("a.json", gzip.compress(ROW))), "file 1 of 1 in the zip holds a gzip"),
        (zipped(("a.json", ROW), ("b.json", zipped(("a.json", ROW)))), "file 2 of 2 in the zip holds a zip"),
        (zipped(("a.json", ROW), ("b.json.GZ", gzip.compress(ROW))), "an archive in an archive"),
        (zipped(("a.json", ROW), ("me@example.com/b.zip", b"")), "an archive in an archive"),
        (encrypted(), "is encrypted"),
        (zipped(("a.json", ROW), method=zipfile.ZIP_LZMA), "by a method"),
        (zipped(("a.json", ROW), method=zipfile.ZIP_BZIP2), "by a method"),
    ],
)
def test_other_packing_is_refused_by_name(data: bytes, said: str) -> None:
    """Also packing inside packing, encryption, and methods that give all of a file at once."""
    reason, message = refusal(data)

    assert reason == "compressed_file"
    assert said in message


@pytest.mark.parametrize("data", [zipped(), zipped(("a.txt", ROW)), zipped((".a.json", ROW), ("b.json/", b""))])
def test_a_zip_without_json_is_refused(data: bytes) -> None:
    """Ignoring all of it would look like an empty project."""
    assert refusal(data)[0] == "not_label_rows"


def test_every_cut_of_a_packed_export_is_damage() -> None:
    """A broken upload never passes for less rows."""
    for data in (gzip.compress(ROW), zipped(("a.json", ROW), ("b.json", ROW))):
        for end in range(4, len(data), 7):
            assert refusal(data[:end])[0] == "damaged_archive"


@pytest.mark.parametrize(
    "data",
    [
        gzip.compress(ROW)[:-8] + b"\0" * 8,
        gzip.compress(ROW) + b"more",
        lying(zipped(("a.json", ROW)), 10),
        lying(zipped(("a.json", ROW)), 10**6),
        zipped(("a.json", ROW)).replace(b"a.json", b"b.json", 1),
    ],
    ids=["checksum", "trailing", "smaller", "larger", "names"],
)
def test_a_packed_export_that_does_not_agree_with_itself_is_damage(data: bytes) -> None:
    """Sizes, names and checksums are told twice."""
    reason, message = refusal(data)

    assert reason == "damaged_archive"
    assert "again" in message


def test_any_flipped_byte_is_harmless() -> None:
    """The same bytes, or an error of our own."""
    chance = random.Random(7)
    for data in (gzip.compress(ROW), zipped(("a.json", ROW), ("b.json", b"[]"))):
        for at in range(len(data)):
            changed = bytearray(data)
            changed[at] = chance.randrange(256)
            try:
                unpack(bytes(changed))
            except ExportError as error:
                assert error.reason in ("damaged_archive", "compressed_file", "not_label_rows", "archive_bomb")


@pytest.mark.parametrize("pack", [gzip.compress, lambda data: zipped(("a.json", data))])
def test_no_more_is_held_than_what_is_unpacked(pack: Callable[[bytes], bytes]) -> None:
    """Twice the bytes of a large export would not fit."""
    text = json.dumps([{"label_hash": str(number), "n": [number] * 9} for number in range(30_000)]).encode()
    data = pack(text)

    tracemalloc.start()
    try:
        found = unpack(data)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert found == text
    assert peak < 1.15 * len(text) + 2**20


@pytest.mark.slow
def test_a_packed_export_of_200_megabytes_is_opened_in_little_more_memory() -> None:
    """What is unpacked, a chunk, and the places of the rows."""
    code = """
import gzip, json, resource
from encord_dagster.encord.container import open_export
row = json.dumps([{"label_hash": str(n), "n": list(range(n, n + 900))} for n in range(300)]).encode()[1:-1]
rows = 200_000_000 // len(row)
out = bytearray()
data = b"".join([gzip.compress(b"[" + row, 1)] + [gzip.compress(b"," + row, 1)] * rows + [gzip.compress(b"]")])
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
opened = open_export(data)
for piece in opened.rows:
    pass
print(len(opened.data), piece.index, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""

    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    size, _, kilobytes = map(int, found.stdout.split())
    assert size > 200_000_000
    assert kilobytes * 1024 < 1.15 * size + 40 * 2**20


@pytest.mark.parametrize("pack", [gzip.compress, lambda data: zipped(("a.json", data), method=zipfile.ZIP_DEFLATED)])
def test_a_glance_stops_at_what_it_was_asked_for(pack: Callable[[bytes], bytes]) -> None:
    """And never fails."""
    text = b"".join(b"%d," % number for number in range(150_000))

    assert glance(pack(text), 2**30) == text
    seen = glance(pack(text), 600_000)
    assert text.startswith(seen)
    assert 300_000 < len(seen) <= 600_000


def test_a_glance_sees_what_comes_before_the_damage() -> None:
    """The start of a large gzip export tells its first rows; of a zip the table of contents is at the end."""
    text = ROW + NOISE

    assert glance(gzip.compress(text)[:50_000], 2**20).startswith(ROW)
    assert glance(zipped(("a.json", text))[:50_000], 2**20) == b""
    assert glance(b"\x1f\x8bnot gzip at all", 2**20) == b""
    assert glance(b"BZh9", 2**20) == b""
    assert glance(ROW, 10) == ROW
    assert len(glance(ZEROS, 2**30)) <= 250 * len(ZEROS)
