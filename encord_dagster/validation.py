"""The one list of all rules. Rules yield findings and never raise for bad labels; the reader's rules have no check."""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping

import msgspec

from encord_dagster.encord.codes import CODES
from encord_dagster.encord.instances import UNSUPPORTED_SHAPES
from encord_dagster.encord.model import Frame, LabelRow, ObjectInstance
from encord_dagster.findings import Finding, Location, Severity
from encord_dagster.geometry import Bitmask, Box, Polygon, Ring, RotatedBox

_FLAT = 1e-6  # square pixels that rounding makes of nothing
_OUTSIDE = 0.5  # pixels beyond the edge that are no finding yet


class Rule(msgspec.Struct, frozen=True):
    """One rule: a stable code, what it costs, and how it is checked (None: the reader finds it while reading)."""

    name: str
    severity: Severity
    description: str
    check: Callable[[LabelRow], Iterator[Finding]] | None = None


def validate(row: LabelRow) -> tuple[Finding, ...]:
    """What the rules that look at whole rows find in a row, in the order of the rules."""
    return tuple(finding for rule in RULES if rule.check is not None for finding in rule.check(row))


def apply_severities(findings: Iterable[Finding], overrides: Mapping[str, Severity]) -> tuple[Finding, ...]:
    """The findings with the severities that the configuration gives to their rules."""
    return tuple(
        msgspec.structs.replace(finding, severity=overrides[finding.rule]) if finding.rule in overrides else finding
        for finding in findings
    )


def conservation(row: LabelRow) -> Finding | None:
    """A finding where the objects of a row are not all on frames, excluded or quarantined."""
    converted = sum(len(frame.objects) for frame in row.frames)
    accounted = converted + len(row.excluded) + len(row.quarantined)
    if accounted == row.objects_in:
        return None
    parts = f"{converted} converted, {len(row.excluded)} excluded, {len(row.quarantined)} quarantined"
    return _finding(
        "objects_unaccounted",
        Location(row=row.label_hash),
        f"the row holds {row.objects_in} objects, but {parts}: a defect of this program, please report it",
    )


def _class_name_differs(row: LabelRow) -> Iterator[Finding]:
    names: dict[str, str] = {}
    told: set[str] = set()
    for frame, instance in _objects(row):
        name = names.setdefault(instance.feature_hash, instance.name)
        if name != instance.name and instance.feature_hash not in told:
            told.add(instance.feature_hash)
            message = f"class {instance.feature_hash} is called {name!r} and {instance.name!r}; export the row again"
            yield _finding("class_name_differs", _at(row, frame, instance), message)


def _object_outside_frame(row: LabelRow) -> Iterator[Finding]:
    """Only turned boxes can reach outside: the reader clips all other shapes."""
    for frame, instance in _objects(row):
        if not isinstance(instance.geometry, RotatedBox) or frame.width is None or frame.height is None:
            continue
        left, top, right, bottom = _hull(instance.geometry)
        beyond = max(-left, -top, right - frame.width, bottom - frame.height)
        if beyond > _OUTSIDE:
            message = f"the rotated box reaches {beyond:.1f} pixels beyond the image; check it in Encord"
            yield _finding("object_outside_frame", _at(row, frame, instance), message)


def _duplicate_boxes(row: LabelRow) -> Iterator[Finding]:
    for frame in row.frames:
        drawn: dict[tuple[str, Box | RotatedBox], str] = {}
        for instance in frame.objects:
            if not isinstance(instance.geometry, Box | RotatedBox):
                continue
            other = drawn.setdefault((instance.feature_hash, instance.geometry), instance.object_hash)
            if other != instance.object_hash:
                message = f"object {other} has the same class and the same box; delete one of them in Encord"
                yield _finding("duplicate_boxes", _at(row, frame, instance), message)


def _zero_area(row: LabelRow) -> Iterator[Finding]:
    for frame, instance in _objects(row):
        if isinstance(instance.geometry, Polygon) and _is_flat(instance.geometry):
            message = "the polygon has no area; correct or delete it in Encord"
            yield _finding("zero_area_polygon", _at(row, frame, instance), message)


def _empty_mask(row: LabelRow) -> Iterator[Finding]:
    for frame, instance in _objects(row):
        if isinstance(instance.geometry, Bitmask) and not any(instance.geometry.runs[1::2]):
            message = "the bitmask has no pixels; draw or delete it in Encord"
            yield _finding("empty_mask", _at(row, frame, instance), message)


def _unknown_shape(row: LabelRow) -> Iterator[Finding]:
    for excluded in row.excluded:
        if excluded.reason == "unsupported_shape" and excluded.shape not in UNSUPPORTED_SHAPES:
            message = f"the shape {excluded.shape!r} is not known; the object was left out"
            yield _finding("unknown_shape", excluded.location, message)


def _unlabelled_row(row: LabelRow) -> Iterator[Finding]:
    labelled = row.objects_in or row.classifications or any(frame.classifications for frame in row.frames)
    if not labelled and not row.deleted:
        yield _finding("unlabelled_row", Location(row=row.label_hash), "the row has no objects and no classifications")


RULES: tuple[Rule, ...] = (
    *(Rule(code.name, code.severity, code.description) for code in CODES),
    Rule("objects_unaccounted", "error", "Objects of a row are neither converted, excluded nor quarantined."),
    Rule("class_name_differs", "warning", "One feature hash has several class names in a row.", _class_name_differs),
    Rule("object_outside_frame", "warning", "An object reaches beyond its image.", _object_outside_frame),
    Rule("duplicate_boxes", "warning", "Two boxes of one class on a frame are the same.", _duplicate_boxes),
    Rule("zero_area_polygon", "warning", "A polygon has no area.", _zero_area),
    Rule("empty_mask", "warning", "A bitmask has no pixels.", _empty_mask),
    Rule("unknown_shape", "warning", "The shape of a class is not known.", _unknown_shape),
    Rule("unlabelled_row", "info", "A row has no objects and no classifications.", _unlabelled_row),
    # found where rows meet a label set
    Rule("no_rows", "warning", "An export holds no label rows."),
    Rule("no_usable_row", "error", "None of an export's label rows can be used."),
    Rule("bad_object", "error", "An export was failed at its first bad row or object, as configured."),
    Rule("new_dataset", "warning", "A dataset is new to the label set: two projects in one prefix?"),
    Rule("history_disagrees", "warning", "A row's export history and its times order two exports differently."),
    Rule("export_hash_conflict", "warning", "One export hash came with two contents."),
    Rule("newer_event_quarantined", "warning", "The newest event of a row cannot be used; the older one stays."),
    Rule("skeleton_joint_unknown", "error", "A skeleton has joints that its class did not have at first."),
    Rule("too_many_objects", "error", "A frame holds more objects than a mask can number."),
)
_SEVERITY: dict[str, Severity] = {rule.name: rule.severity for rule in RULES}


def _finding(rule: str, where: Location, message: str) -> Finding:
    return Finding(rule=rule, severity=_SEVERITY[rule], location=where, message=message)


def _objects(row: LabelRow) -> Iterator[tuple[Frame, ObjectInstance]]:
    return ((frame, instance) for frame in row.frames for instance in frame.objects)


def _at(row: LabelRow, frame: Frame, instance: ObjectInstance) -> Location:
    return Location(row=row.label_hash, unit=frame.data_hash, frame=frame.number, object=instance.object_hash)


def _hull(box: RotatedBox) -> tuple[float, float, float, float]:
    """Left, top, right and bottom of the turned box, in pixels."""
    sine, cosine = abs(math.sin(math.radians(box.theta))), abs(math.cos(math.radians(box.theta)))
    half_width = (box.width * cosine + box.height * sine) / 2
    half_height = (box.width * sine + box.height * cosine) / 2
    x, y = box.x + box.width / 2, box.y + box.height / 2
    return x - half_width, y - half_height, x + half_width, y + half_height


def _is_flat(polygon: Polygon) -> bool:
    return all(abs(_area(rings[0])) < _FLAT for rings in polygon.polygons)


def _area(ring: Ring) -> float:
    """Signed area of a ring in square pixels."""
    xs, ys = ring[::2], ring[1::2]
    return sum(x * v - u * y for x, y, u, v in zip(xs, ys, xs[1:] + xs[:1], ys[1:] + ys[:1], strict=True)) / 2
