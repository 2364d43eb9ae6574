"""Names and addresses of images by a template of the user's, such as `{data_hash}{ext}`."""

import string
from pathlib import PurePosixPath
from urllib.parse import quote

import msgspec

from encord_dagster.errors import UsageError
from encord_dagster.formats import coco
from encord_dagster.formats.labelled import Row

FIELDS = (
    *("file_name", "stem", "ext", "data_hash", "frame", "space", "label_hash", "dataset_hash", "data_type"),
    *("title", "title_stem"),
)
_FORMATTER = string.Formatter()


def checked(name: str, template: str) -> None:
    """Refuse a template with fields that there are not."""
    try:
        parts = list(_FORMATTER.parse(template))
    except ValueError as error:
        raise UsageError(f"{name} {template!r}: {error}") from error
    for _, field, form, conversion in parts:
        if field is None:
            continue
        if field not in FIELDS or conversion or "{" in (form or ""):
            raise UsageError(f"{name} {template!r}: there is no field {{{field}}}; there are {', '.join(FIELDS)}")
        try:
            format(1 if field == "frame" else "", form or "")
        except ValueError as error:
            raise UsageError(f"{name} {template!r}, field {{{field}}}: {error}") from error


def named(image: coco.Image, row: Row, *, file_name: str, coco_url: str) -> coco.Image:
    """An image with the name and address that the templates give it; without a template, those it has."""
    if not file_name and not coco_url:
        return image
    values = _values(image, row)
    name = _safe(_filled("file_name", file_name, values, image), image) if file_name else image.file_name
    values["file_name"] = name
    url = _filled("coco_url", coco_url, values, image) if coco_url else image.coco_url
    return msgspec.structs.replace(image, file_name=name, coco_url=url)


def _values(image: coco.Image, row: Row) -> dict[str, object]:
    origin, path = image.encord, PurePosixPath(image.file_name)
    has_kind = path.suffix.lower() in {*coco.EXTENSIONS.values(), ".jpeg"}
    title = image.image_title if isinstance(image.image_title, str) else None
    return {
        "file_name": image.file_name,
        "stem": path.stem if has_kind else path.name,
        "ext": path.suffix if has_kind else "",
        "data_hash": _quoted(origin.data_hash),
        "frame": origin.frame,
        "space": _quoted(origin.space or ""),
        "label_hash": _quoted(origin.label_hash),
        "dataset_hash": _quoted(row.dataset_hash or ""),
        "data_type": row.data_type,
        "title": title,
        "title_stem": None if title is None else PurePosixPath(title).stem,
    }


def _quoted(text: str) -> str:
    """As in the names that images have without a template: hashes come from outside."""
    return quote(text, safe="")


def _filled(name: str, template: str, values: dict[str, object], image: coco.Image) -> str:
    made = ""
    for text, field, form, _ in _FORMATTER.parse(template):
        made += text
        if field is None:
            continue
        if values[field] is None:
            raise UsageError(
                f"{name} {template!r}: image {image.id} has no published title; ingest with publish=titles"
            )
        made += format(values[field], form or "")
    return made


def _safe(name: str, image: coco.Image) -> str:
    """The name, if it stays below a folder wherever it is used: titles come from outside."""
    if any(part in ("", ".", "..") for part in name.split("/")) or any(c in name for c in "\\\n\r\0"):
        raise UsageError(f"file_name: image {image.id} would be called {name!r}, which is no path below a folder")
    return name
