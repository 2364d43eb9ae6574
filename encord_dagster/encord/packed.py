"""The bytes of a delivery unpacked: gzip and zip, known by their first bytes, and never more than is allowed."""

import contextlib
import gzip
import io
import itertools
import stat
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from typing import cast

import msgspec

from encord_dagster.encord import codes
from encord_dagster.encord.codes import Code
from encord_dagster.errors import ExportError
from encord_dagster.landing import is_export
from encord_dagster.storage.mapped import Data

LARGEST_EXPORT = 5 * 2**30  # bytes: what a single PUT of S3 takes
LARGEST_HELD = 2 * 2**30  # bytes of what is in memory whole: exports that are packed, what they hold, COCO exports
MOST_FILES = 10_000  # in one zip
# Packed labels of objects that stand still for a whole video were measured at 1/163 of their size, and no data at
# all packs to less than 1/1032: between the two lies the bomb. What is small is unpacked however well it packs.
LARGEST_RATIO = 250
ALWAYS_UNPACKED = 2**20  # bytes

_CHUNK = 256 * 2**10
_MAGICS = {b"\x1f\x8b": "gzip", b"PK\x03\x04": "zip", b"PK\x05\x06": "zip", b"(\xb5/\xfd": "zstd", b"BZh": "bzip2"}
_LISTED = b"PK\x01\x02"  # starts each entry of a zip's table of contents
_ROWS = (".json", ".ndjson", ".jsonl")
_NESTED = (".gz", ".tgz", ".zip", ".zst", ".bz2", ".xz", ".7z", ".tar", ".rar")
_UNIX = 3
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # the others cannot be unpacked a bounded piece at a time
_DAMAGED = (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, NotImplementedError)


class Part(msgspec.Struct, frozen=True):
    """One file of a delivery: its place in the unpacked bytes. `title` names it in messages, empty for the only one."""

    start: int
    end: int
    title: str = ""


class Unpacked(msgspec.Struct, frozen=True):
    """A delivery as JSON bytes. The files of a zip are its parts, in order of their names, a line feed between them."""

    data: Data
    parts: tuple[Part, ...]


class _Full(Exception):
    """The bytes unpacked so far are all that are allowed."""


def unpack(data: Data) -> Data:
    """The bytes that the places of rows count in: `data` itself unless it is gzip or zip."""
    return unpack_parts(data).data


def unpack_parts(data: Data) -> Unpacked:
    """The bytes unpacked, and the files in them. Raises ExportError, having kept to the limits until then."""
    kind = _kind(data)
    if kind is None:
        refuse_larger(data, LARGEST_EXPORT, "the export")
        return Unpacked(data, (Part(0, len(data)),))
    refuse_larger(data, min(LARGEST_EXPORT, LARGEST_HELD), f"the {kind} file")
    data = data[:]
    out = io.BytesIO()
    try:
        parts = _unpack(data, kind, out, _limit(data))
    except _Full as error:
        raise _too_much(data, kind) from error
    return Unpacked(out.getvalue(), parts)


def refuse_larger(data: Data, most: int, what: str) -> None:
    """ExportError where there are more bytes than are read of an export of this kind."""
    if len(data) > most:
        raise _error(codes.TOO_LARGE, f"{what} has {len(data)} bytes, at most {most} are read: export in parts")


def glance(data: bytes, most: int) -> bytes:
    """What can be unpacked of a delivery or of its start, about `most` bytes of it, passing over whatever is wrong."""
    kind = _kind(data)
    if kind is None:
        return data
    out = io.BytesIO()
    with contextlib.suppress(_Full, ExportError):
        _unpack(data, kind, out, min(most, _limit(data)))
    return out.getvalue()


def _kind(data: Data) -> str | None:
    return next((name for magic, name in _MAGICS.items() if data.startswith(magic)), None)


def _limit(data: bytes) -> int:
    return min(LARGEST_EXPORT, LARGEST_HELD, max(ALWAYS_UNPACKED, LARGEST_RATIO * len(data)))


def _unpack(data: bytes, kind: str, out: io.BytesIO, limit: int) -> tuple[Part, ...]:
    match kind:
        case "gzip":
            return (_gunzip(data, out, limit),)
        case "zip":
            return tuple(_unzip(data, out, limit))
        case _:
            message = f"the export is packed with {kind}, which is not read: pack it with gzip or zip, or not at all"
            raise _error(codes.COMPRESSED_FILE, message)


def _gunzip(data: bytes, out: io.BytesIO, limit: int) -> Part:
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(data)) as stream:
            _copy(stream, out, limit)
    except _DAMAGED as error:
        raise _error(codes.DAMAGED_ARCHIVE, "the gzip file is damaged or cut off: upload it again") from error
    _refuse_packed(out, 0, "the gzip file")
    return Part(0, out.tell())


def _unzip(data: bytes, out: io.BytesIO, limit: int) -> Iterator[Part]:
    try:
        # Counted before zipfile makes a record of each.
        if data.count(_LISTED) > MOST_FILES:
            message = f"the zip holds more than {MOST_FILES} files, which are not read: deliver it as several exports"
            raise _error(codes.TOO_LARGE, message)
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            files = _with_rows(archive)
            _refuse_overlaps(files)
            for number, file in enumerate(files, start=1):
                title = f"file {number} of {len(files)} in the zip"  # its name may be that of a person
                yield _unzip_file(archive, file, title, out, limit)
    except _DAMAGED as error:
        raise _error(codes.DAMAGED_ARCHIVE, "the zip file is damaged or cut off: upload it again") from error


def _unzip_file(archive: zipfile.ZipFile, file: zipfile.ZipInfo, title: str, out: io.BytesIO, limit: int) -> Part:
    if file.flag_bits & 0x41:
        raise _error(codes.COMPRESSED_FILE, f"{title}, is encrypted: deliver it without a password")
    if file.compress_type not in _METHODS:
        raise _error(codes.COMPRESSED_FILE, f"{title}, is packed by a method that is not read: zip it by `deflate`")
    if out.tell():
        out.write(b"\n")
    start = out.tell()
    try:
        with archive.open(file) as stream:
            _copy(cast(zipfile.ZipExtFile, stream), out, limit)
    except _DAMAGED as error:
        raise _error(codes.DAMAGED_ARCHIVE, f"{title}, is damaged or cut off: upload the zip again") from error
    if out.tell() - start != file.file_size:
        message = f"{title}, has not the {file.file_size} bytes that the zip tells: upload the zip again"
        raise _error(codes.DAMAGED_ARCHIVE, message)
    _refuse_packed(out, start, title)
    return Part(start, out.tell(), title)


def _with_rows(archive: zipfile.ZipFile) -> list[zipfile.ZipInfo]:
    """The files that can hold rows, by name. Their names are compared and shown, and never used as paths."""
    files = [file for file in archive.infolist() if _is_plain(file)]
    nested = next((file for file in files if file.filename.lower().endswith(_NESTED)), None)
    if nested:
        message = "the zip holds an archive in an archive: unpack it and deliver the JSON"
        raise _error(codes.COMPRESSED_FILE, message)
    files = [file for file in files if file.filename.lower().endswith(_ROWS)]
    if not files:
        message = "the zip holds no .json, .ndjson or .jsonl file: deliver Encord's JSON export"
        raise _error(codes.NOT_LABEL_ROWS, message)
    return sorted(files, key=lambda file: file.filename)


def _is_plain(file: zipfile.ZipInfo) -> bool:
    """Whether an entry is a file that would be an export in the landing prefix too: no folder or link, not hidden."""
    folders = file.filename.split("/")[:-1]
    hidden = [name for name in folders if name == "__MACOSX" or (name.startswith(".") and name.strip("."))]
    if hidden or not is_export(file.filename):
        return False
    mode = stat.S_IFMT(file.external_attr >> 16) if file.create_system == _UNIX else 0
    return mode in (0, stat.S_IFREG)


def _refuse_overlaps(files: Sequence[zipfile.ZipInfo]) -> None:
    """Entries that share their bytes are how a small zip claims to hold a large one."""
    spans = sorted((file.header_offset, file.header_offset + file.compress_size) for file in files)
    if any(end > start for (_, end), (start, _) in itertools.pairwise(spans)):
        message = "files in the zip overlap, which no packer does: pack the exports again"
        raise _error(codes.ARCHIVE_BOMB, message)


def _copy(stream: gzip.GzipFile | zipfile.ZipExtFile, out: io.BytesIO, limit: int) -> None:
    # read1, not read: what was unpacked before damage is found is kept for `glance`.
    while chunk := stream.read1(_CHUNK):
        if out.tell() + len(chunk) > limit:
            raise _Full
        out.write(chunk)


def _refuse_packed(out: io.BytesIO, start: int, title: str) -> None:
    out.seek(start)
    kind = _kind(out.read(8))
    out.seek(0, io.SEEK_END)
    if kind:
        message = f"{title} holds a {kind} file, an archive in an archive: unpack it once and deliver it again"
        raise _error(codes.COMPRESSED_FILE, message)


def _too_much(data: bytes, kind: str) -> ExportError:
    limit = _limit(data)
    if limit >= min(LARGEST_EXPORT, LARGEST_HELD):
        return _error(codes.TOO_LARGE, f"the {kind} file unpacks to more than {limit} bytes: export in parts")
    message = f"the {kind} file of {len(data)} bytes unpacks to more than {limit}, which labels never do: export again"
    return _error(codes.ARCHIVE_BOMB, message)


def _error(code: Code, message: str) -> ExportError:
    return ExportError(code.name, message)
