"""Circles and ellipses: a centre, two semi-axes and an angle, each with its own scale."""

import msgspec

from encord_dagster.encord import codes
from encord_dagster.encord.notes import BadObject
from encord_dagster.encord.pixels import Scale, longest, reduced, refuse_far
from encord_dagster.encord.scalars import Raw, Scalar, number, present
from encord_dagster.geometry import Ellipse


class _Ellipse(msgspec.Struct):
    x: Scalar = None
    y: Scalar = None
    r: Scalar = None
    stretch: Scalar = None
    rx: Scalar = None
    ry: Scalar = None
    theta: Scalar = None


_ELLIPSE = msgspec.json.Decoder(_Ellipse)


def read_circle(raw: Raw, scale: Scale) -> Ellipse:
    """A circle, whose radius is a fraction of the width alone; `stretch` times it is the semi-axis across `theta`."""
    found = _ELLIPSE.decode(raw)
    radius, stretch = _measure(found.r, "r"), _measure(found.stretch, "stretch", absent=1.0)
    rx = radius * scale.width
    return _ellipse(found, rx, stretch * rx, scale)


def read_ellipse(raw: Raw, scale: Scale) -> Ellipse:
    """An ellipse; before `theta` turns it, its first semi-axis lies along the width, its second along the height."""
    found = _ELLIPSE.decode(raw)
    return _ellipse(found, _measure(found.rx, "rx") * scale.width, _measure(found.ry, "ry") * scale.height, scale)


def _ellipse(found: _Ellipse, rx: float, ry: float, scale: Scale) -> Ellipse:
    """Its edge may lie outside the image, which cannot be clipped; its centre may not."""
    x, y = number(found.x), number(found.y)
    theta = 0.0 if present(found.theta) is None else number(found.theta)
    if x is None or y is None or theta is None:
        raise BadObject(codes.BAD_GEOMETRY, "the centre or the angle theta is no number; draw the object again")
    refuse_far(x, "the centre's x")
    refuse_far(y, "the centre's y")
    if max(rx, ry) > longest(scale):
        message = "a radius is longer than the image's diagonal, so that no edge can be seen: a slipped point?"
        raise BadObject(codes.OUTSIDE_IMAGE, message)
    return Ellipse(x * scale.width, y * scale.height, rx, ry, reduced(theta))


def _measure(value: Scalar, what: str, *, absent: float | None = None) -> float:
    """A length or ratio, which must be above 0."""
    found = absent if present(value) is None else number(value)
    if found is None:
        raise BadObject(codes.BAD_GEOMETRY, f"{what} of the circle or ellipse is no number; draw the object again")
    if found <= 0:
        message = f"{what} of the circle or ellipse is {found:g}; correct or delete it in Encord"
        raise BadObject(codes.EMPTY_BOX, message)
    return found
