"""The one list of all rules. Rules find and never raise for bad labels; the reader's rules have no check."""

from collections.abc import Iterable, Mapping

import msgspec

from encord_dagster.config import LabelSetConfig
from encord_dagster.encord.codes import CODES
from encord_dagster.encord.model import LabelRow
from encord_dagster.findings import Finding, Location, Severity
from encord_dagster.geometry import Bitmask, Box, Ellipse, Geometry, Polygon, RotatedBox
from encord_dagster.rules import ontology, rows
from encord_dagster.rules.against import Against, Check


class Rule(msgspec.Struct, frozen=True):
    """One rule: a stable code, what it costs, and how it is checked (None: it is found elsewhere)."""

    name: str
    severity: Severity
    description: str
    check: Check | None = None
    shapes: tuple[type[Geometry], ...] = ()  # that it looks at; none: at any row


def validate(row: LabelRow, against: Against = Against()) -> tuple[Finding, ...]:  # noqa: B008 - frozen
    """What the rules that look at whole rows find in a row, in the order of the rules."""
    held = {type(item.geometry) for frame in row.frames for item in frame.objects}
    return tuple(
        Finding(rule=rule.name, severity=rule.severity, location=where, message=message)
        for rule in _CHECKED
        if rule.check is not None and not (rule.shapes and held.isdisjoint(rule.shapes))
        for where, message in rule.check(row, against)
    )


def ontology_missing() -> Finding:
    """That there is no ontology to hold rows against. To be told once of an export, not of each row."""
    text = (
        "classes, attributes and required answers are not checked, since there is no ontology; "
        "put the ontology document of the project beside the exports, or name it in the configuration"
    )
    return finding("ontology_missing", Location(), text)


def is_wanted(row: LabelRow, config: LabelSetConfig) -> bool:
    """Whether a row's status and workflow stage are among the configured ones. Tombstones always are."""
    if row.deleted:
        return True
    statuses, nodes = config.label_statuses, config.workflow_nodes
    return (not statuses or row.label_status in statuses) and (not nodes or row.workflow_node in nodes)


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
    return finding(
        "objects_unaccounted",
        Location(row=row.label_hash),
        f"the row holds {row.objects_in} objects, but {parts}: a defect of this program, please report it",
    )


def finding(rule: str, where: Location, message: str) -> Finding:
    """A finding of a rule that is not checked on rows, with the rule's own severity."""
    return Finding(rule=rule, severity=_SEVERITY[rule], location=where, message=message)


RULES: tuple[Rule, ...] = (
    *(Rule(code.name, code.severity, code.description) for code in CODES),
    Rule("objects_unaccounted", "error", "Objects of a row are neither converted, excluded nor quarantined."),
    Rule("class_name_differs", "warning", "One class of a row has several names.", rows.class_name_differs),
    Rule(
        "object_outside_frame",
        "warning",
        "An object reaches beyond its image.",
        rows.object_outside_frame,
        (RotatedBox, Ellipse),
    ),
    Rule(
        "duplicate_boxes",
        "warning",
        "Two boxes of one class on a frame are the same.",
        rows.duplicate_boxes,
        (Box, RotatedBox),
    ),
    Rule("zero_area_polygon", "warning", "A polygon has no area.", rows.zero_area, (Polygon,)),
    Rule("empty_mask", "warning", "A bitmask has no pixels.", rows.empty_mask, (Bitmask,)),
    Rule("small_object", "warning", "An object is smaller than `min_area_pixels` (0: not checked).", rows.small_object),
    Rule("unknown_shape", "warning", "The shape of a class is not known.", rows.unknown_shape),
    Rule("unlabelled_row", "info", "A row has no objects and no classifications.", rows.unlabelled_row),
    Rule("unlabelled_frame", "info", "Frames that the export lists have no labels.", rows.unlabelled_frame),
    # against the ontology document
    Rule("ontology_missing", "info", "There is no ontology to hold the labels against."),
    Rule(
        "class_not_in_ontology",
        "warning",
        "A class or classification is not in the ontology.",
        ontology.class_not_in_ontology,
    ),
    Rule(
        "attribute_not_in_ontology",
        "warning",
        "An answered attribute is not one of its class in the ontology.",
        ontology.attribute_not_in_ontology,
    ),
    Rule(
        "required_answer_missing",
        "warning",
        "An attribute that the ontology requires is not answered.",
        ontology.required_answer_missing,
    ),
    Rule(
        "required_class_missing",
        "info",
        "A row has no object of a class that the ontology requires.",
        ontology.required_class_missing,
    ),
    # found where rows meet a label set
    Rule("bad_ontology", "error", "The ontology that came with an export cannot be read."),
    Rule("labels_in_both_formats", "warning", "One data unit has labels out of JSON and out of COCO."),
    Rule("no_rows", "warning", "An export holds no label rows."),
    Rule("no_usable_row", "error", "None of an export's label rows can be used."),
    Rule("bad_object", "error", "An export was failed at its first bad row or object, as configured."),
    Rule("new_dataset", "warning", "A dataset is new to the label set: two projects in one prefix?"),
    Rule("history_disagrees", "warning", "A row's export history and its times order two exports differently."),
    Rule("history_shrank", "warning", "A newer export of a row tells of fewer exports than an older one did."),
    Rule("export_hash_conflict", "warning", "One export hash came with two contents."),
    Rule("newer_event_quarantined", "warning", "The newest event of a row cannot be used; the older one stays."),
    Rule("row_retired", "info", "A row was retired from the label set, and an export holds it again."),
    Rule("row_absent", "warning", "Rows of the version are absent from the last complete exports."),
    Rule("export_blocked", "info", "An export was rolled back: nothing of it is used until it is unblocked."),
    Rule("skeleton_joint_unknown", "error", "A skeleton has joints that its class did not have at first."),
    Rule("too_many_answers", "error", "The frames of a row hold more answers than its objects account for."),
    Rule("too_many_objects", "error", "A frame holds more objects than a mask can number."),
    # found where a version is compared with the one before
    Rule("class_vanished", "error", "A class of the version before has no objects any more."),
    Rule("annotations_dropped", "error", "The version has far fewer annotations than the one before."),
    Rule("class_share_shifted", "warning", "A class has another share of all annotations than in the version before."),
)
_CHECKED = [rule for rule in RULES if rule.check]
_SEVERITY: dict[str, Severity] = {rule.name: rule.severity for rule in RULES}
