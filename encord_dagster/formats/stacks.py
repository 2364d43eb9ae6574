"""Slices of a DICOM series as one volume: sorted by where they lie, or refused with the reason.

Source: DICOM PS3.3 C.7.6.2.1.1 (image plane), whose equation takes column and row indices to millimetres.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from encord_dagster.formats.dicom_headers import Header

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

UNIT = 1e-4  # by which unit vectors may be off, as headers round them
OFF = 0.05  # of a pixel or of the distance between slices: how far a slice may lie from its place in an even stack
LONGEST = 2**15 - 1  # NIfTI counts pixels along an axis in 16 bits


class Stack(msgspec.Struct, frozen=True):
    """Slices in order along the normal of their planes, and where voxels lie.

    `affine` [4, 4] takes (column, row, slice, 1) to millimetres in LPS; its columns are at right angles.
    """

    slices: tuple[Header, ...]
    affine: "Floats"

    @property
    def shape(self) -> tuple[int, int, int]:
        """Columns, rows, slices."""
        return self.slices[0].columns, self.slices[0].rows, len(self.slices)

    @property
    def distance(self) -> float:
        """Between the centres of neighbouring slices, in mm."""
        import numpy as np

        return float(np.linalg.norm(self.affine[:3, 2]))


def stack(headers: Sequence[Header]) -> Stack | str:
    """The volume that some slices are, or the reason why they are none.

    A header lacks its geometry, or they are no even stack of parallel planes of one size.
    """
    import numpy as np

    first = headers[0]
    for header in headers:
        if not (header.position and header.orientation and header.spacing and header.rows and header.columns):
            return "a header has no ImagePositionPatient, ImageOrientationPatient, PixelSpacing or size"
        if (header.rows, header.columns) != (first.rows, first.columns):
            return "the slices differ in size"
    orientations = np.array([one.orientation for one in headers])
    positions, spacings = np.array([one.position for one in headers]), np.array([one.spacing for one in headers])
    if not all(np.isfinite(numbers).all() for numbers in (orientations, positions, spacings)):
        return "a header has a number that is none"
    if max(first.rows, first.columns, len(headers)) > LONGEST:
        return f"it has more than {LONGEST} pixels or slices along an axis"
    along, down = orientations[0, :3], orientations[0, 3:]
    if max(abs(along @ along - 1), abs(down @ down - 1), abs(along @ down)) > 2 * UNIT or spacings.min() <= 0:
        return "ImageOrientationPatient is no pair of unit vectors at right angles, or PixelSpacing is not above 0"
    if np.abs(orientations - orientations[0]).max() > UNIT:
        return "the slices are not parallel"
    if np.abs(spacings / spacings[0] - 1).max() > UNIT:
        return "the slices differ in PixelSpacing"
    if len(headers) < 2:
        return "of one slice the distance to the next is not known"
    along = along / np.linalg.norm(along)
    down = down - (down @ along) * along
    down = down / np.linalg.norm(down)
    order = np.argsort(positions @ np.cross(along, down), kind="stable")
    return _even([headers[place] for place in order], along, down)


def _even(slices: Sequence[Header], along: "Floats", down: "Floats") -> Stack | str:
    """The stack of slices that are in order, or the reason why they lie not one behind the other evenly."""
    import numpy as np

    normal = np.cross(along, down)
    positions = np.array([one.position for one in slices])
    between_rows, between_columns = slices[0].spacing
    heights = positions @ normal
    distance = (heights[-1] - heights[0]) / (len(slices) - 1)
    if distance <= 0 or np.diff(heights).min() < OFF * distance:
        return "two slices lie in one place"
    places = np.arange(len(slices))
    if np.abs(heights - heights[0] - places * distance).max() > OFF * distance:
        return f"the slices are not evenly spaced: {np.diff(heights).min():.6g} to {np.diff(heights).max():.6g} mm"
    beside = positions - positions[0] - np.outer(heights - heights[0], normal)
    if np.linalg.norm(beside, axis=1).max() > OFF * min(between_rows, between_columns):
        return "the slices do not lie one behind the other along their normal, as with a tilted gantry"
    affine = np.eye(4)
    affine[:3, 0], affine[:3, 1] = along * between_columns, down * between_rows
    affine[:3, 2], affine[:3, 3] = normal * distance, positions[0]
    return Stack(tuple(slices), affine)
