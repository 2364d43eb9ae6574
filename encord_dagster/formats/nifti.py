"""NIfTI-1 label maps: one file for each DICOM series, on the grid of its slices, with classes as values.

Voxel (i, j, k) is column i, row j of the k-th slice along the normal of the planes. The affine is in RAS+ (towards
right, front and head), the first two of which point against those of DICOM. Classes lie as in our semantic masks: later
ones on top; what they cover is counted. Values count from 1 in order of category ids, without gaps, as nnU-Net needs.
Source: NIfTI-1.1 (nifti1.h); the folder is named as in nnU-Net v2.
"""

import math
import struct
import zlib
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING
from urllib.parse import quote

import msgspec

from encord_dagster import rle
from encord_dagster.formats.labelled import Labelled
from encord_dagster.formats.repaint import HIGHEST_IN_8_BITS, counts_of, has_pixels
from encord_dagster.formats.series import BACKGROUND, Series, Volume, values_of
from encord_dagster.formats.stacks import Stack
from encord_dagster.formats.writing import Chosen, File

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Labels = NDArray[np.uint8] | NDArray[np.uint16]

FOLDER = "nifti"
_HEADER = struct.Struct("<i36x8h3f4h8f3fh2B4f8x80s24s2h6f12f16s4s")
_LABEL, _MM, _SCANNER = 1002, 2, 1  # what the values, the unit of length and the coordinates are
_TYPES = {1: 2, 2: 512}  # bytes of a value -> its type


class Nifti:
    """Writes nifti/labelsTr/<data hash>.nii.gz, the table of labels and the list of series."""

    def __init__(self, chosen: Chosen) -> None:
        self._series, self._lost = Series("nifti", chosen), chosen.lost
        self._labels, self._values = values_of(chosen)
        self._bytes = 1 if len(self._labels) <= HIGHEST_IN_8_BITS else 2
        self._written = 0

    def write(self, images: Sequence[Labelled]) -> Iterator[File]:
        """The label map of each series."""
        for volume in self._series.volumes(images):
            self._written += 1
            yield f"{FOLDER}/labelsTr/{quote(volume.data_hash, safe='')}.nii.gz", self._map(volume)

    def _map(self, volume: Volume) -> Iterator[bytes]:
        packer = zlib.compressobj(6, zlib.DEFLATED, 31)  # as gzip, without a time
        yield packer.compress(header(volume.stack, value_bytes=self._bytes))
        columns, rows, slices = volume.stack.shape
        empty = bytes(columns * rows * self._bytes)
        for place in range(slices):
            one = volume.frames.get(place)
            yield packer.compress(self._painted(one).tobytes() if one and one.annotations else empty)
        yield packer.flush()

    def _painted(self, one: Labelled) -> "Labels":
        """The values of one slice [y, x]."""
        import numpy as np

        width, height = one.image.width, one.image.height
        flat = np.zeros(width * height, dtype=np.uint8 if self._bytes == 1 else "<u2")  # column after column
        drawn: list[tuple[Sequence[int], int]] = []
        for item in one.annotations:
            if not has_pixels(item, width=width, height=height):
                self._lost["nifti:no_area"] += 1
                continue
            drawn.append((rle.decode(counts_of(item, width=width, height=height)), self._values[item.category_id]))
            rle.paint(flat, *drawn[-1])
        for runs, value in drawn:
            own = np.repeat(np.arange(len(runs)) % 2 == 1, runs)
            self._lost["nifti:covered"] += bool((flat[own] != value).any())
        return np.ascontiguousarray(flat.reshape(width, height).T)

    def end(self) -> Iterator[File]:
        """dataset.json as nnU-Net has it, but for the channels, which are those of images; labels.json; series.json."""
        names = {BACKGROUND: 0} | {str(one["name"]): one["value"] for one in self._labels}
        about = {"labels": names, "numTraining": self._written, "file_ending": ".nii.gz"}
        lists: Mapping[str, object] = {
            "dataset": about,
            "labels": self._labels,
            "series": self._series.listed,
        }
        for name, value in lists.items():
            yield f"{FOLDER}/{name}.json", msgspec.json.format(msgspec.json.encode(value)) + b"\n"


def header(stack: Stack, *, value_bytes: int) -> bytes:
    """The 352 bytes before the voxels; both of its transformations are the same."""
    import numpy as np

    affine = np.diag([-1.0, -1.0, 1.0, 1.0]) @ stack.affine
    sides = np.linalg.norm(affine[:3, :3], axis=0)
    b, c, d = quaternion(affine[:3, :3] / sides)
    made = _HEADER.pack(
        348,
        *(3, *stack.shape, 1, 1, 1, 1),
        *(0.0, 0.0, 0.0, _LABEL, _TYPES[value_bytes], 8 * value_bytes, 0),
        *(1.0, *sides, 1.0, 1.0, 1.0, 1.0),  # the first: the third axis is as the quaternion has it
        *(352.0, 1.0, 0.0, 0, 0, _MM, 0.0, 0.0, 0.0, 0.0),  # where voxels begin; values as they are
        *(b"", b"", _SCANNER, _SCANNER),
        *(b, c, d, *affine[:3, 3]),
        *affine[:3].reshape(-1),
        b"labels",
        b"n+1\0",
    )
    return made + bytes(4)  # no extensions


def quaternion(rotation: "Floats") -> tuple[float, float, float]:
    """b, c, d of the unit quaternion a + bi + cj + dk of a rotation, with a >= 0."""
    import numpy as np

    # of the four squares the largest is divided by, so that nothing near 0 is
    diagonal = np.diag(rotation)
    squares = np.array([1 + diagonal.sum(), *(1 + 2 * diagonal - diagonal.sum())])
    r = rotation
    products = np.array(
        [
            [squares[0], r[2, 1] - r[1, 2], r[0, 2] - r[2, 0], r[1, 0] - r[0, 1]],
            [r[2, 1] - r[1, 2], squares[1], r[0, 1] + r[1, 0], r[0, 2] + r[2, 0]],
            [r[0, 2] - r[2, 0], r[0, 1] + r[1, 0], squares[2], r[1, 2] + r[2, 1]],
            [r[1, 0] - r[0, 1], r[0, 2] + r[2, 0], r[1, 2] + r[2, 1], squares[3]],
        ]
    )
    largest = int(squares.argmax())
    whole = products[largest] / math.sqrt(4 * squares[largest]) * math.copysign(1.0, products[largest, 0])
    whole /= np.linalg.norm(whole)
    return float(whole[1]), float(whole[2]), float(whole[3])
