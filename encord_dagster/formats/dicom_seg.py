"""DICOM SEG: one file for each DICOM series, with a segment of bits for each object, so that none covers another."""

from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import quote

import msgspec

from encord_dagster import rle
from encord_dagster.formats.coco import Annotation
from encord_dagster.formats.dicom_headers import elements
from encord_dagster.formats.labelled import Labelled
from encord_dagster.formats.repaint import counts_of, has_pixels
from encord_dagster.formats.seg_document import COPIED, MOST, NEEDED, Segment, document, uid_of
from encord_dagster.formats.series import Refused, Series, Volume
from encord_dagster.formats.writing import Chosen, File

FOLDER = "dicom_seg"
LARGEST = 2**32 - 2  # bytes of pixels, whose length is told in 32 bits


class DicomSeg:
    """Writes dicom_seg/<data hash>.dcm and the list of series."""

    def __init__(self, chosen: Chosen) -> None:
        self._series, self._lost = Series("dicom_seg", chosen), chosen.lost
        self._categories = {one.id: one for one in chosen.categories}

    def write(self, images: Sequence[Labelled]) -> Iterator[File]:
        """The segments of each series that has any: a SEG without one is not allowed."""
        for volume in self._series.volumes(images):
            first = _reference(volume)
            if first is None:
                reason = f"its first header has no {' or no '.join(NEEDED)}, or is damaged"
                self._series.refuse(list(volume.frames.values()), Refused("no_study", reason))
                continue
            before = self._lost.total()
            segments = self._segments(volume)
            frames = sum(len(one.runs) for one in segments)
            if frames * volume.stack.shape[0] * volume.stack.shape[1] > 8 * LARGEST:
                refused = Refused("too_large", f"its {frames} masks are more than the 4 GB that a file can hold")
                lost_before = self._lost.total() - before
                self._series.refuse(list(volume.frames.values()), refused, lost_before=lost_before)
            elif segments:
                yield f"{FOLDER}/{quote(volume.data_hash, safe='')}.dcm", document(first, volume.stack, segments)

    def _segments(self, volume: Volume) -> list[Segment]:
        """In the order in which the objects appear, slice after slice."""
        found: dict[tuple[int, int], Segment] = {}
        for place, one in sorted(volume.frames.items()):
            for item in one.annotations:
                runs = _runs(item, one)
                if not any(runs[1::2]):
                    self._lost["dicom_seg:no_area"] += 1
                    continue
                key = item.attributes.track_id, item.category_id
                if key not in found and len(found) == MOST:
                    self._lost["dicom_seg:object_above_65535"] += 1
                    continue
                if key not in found:
                    uid = uid_of("object", *map(str, key))
                    category, object_hash = self._categories[item.category_id], str(item.encord.object_hash)
                    found[key] = Segment(category=category, object_hash=object_hash, uid=uid)
                found[key].manual &= item.attributes.manual_annotation
                found[key].runs[place] = runs
        return list(found.values())

    def end(self) -> Iterator[File]:
        """series.json."""
        yield f"{FOLDER}/series.json", msgspec.json.format(msgspec.json.encode(self._series.listed)) + b"\n"


def _reference(volume: Volume) -> dict[str, Any] | None:
    """What is copied out of the first header; None where it does not say what the file must."""
    try:
        found = elements(volume.stack.slices[0].path, COPIED)
    except ValueError:
        return None
    return found if found and all(found.get(name) for name in NEEDED) else None


def _runs(item: Annotation, one: Labelled) -> Sequence[int]:
    width, height = one.image.width, one.image.height
    if not has_pixels(item, width=width, height=height):
        return ()
    return rle.decode(counts_of(item, width=width, height=height))
