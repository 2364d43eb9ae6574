"""The rules: each finds its fault, and the list of them is complete."""

import re
from pathlib import Path

import msgspec
import pytest

from encord_dagster.encord import codes
from encord_dagster.findings import Finding, Location
from encord_dagster.validation import RULES, apply_severities, conservation, validate
from tests import factories as make
from tests.factories import Json

READER = Path(codes.__file__).parent


def test_every_code_of_the_reader_is_a_rule() -> None:
    """Collected from the source: whatever the reader names as `codes.X` is in the one list."""
    used = {
        name for path in READER.rglob("*.py") for name in re.findall(r"\bcodes\.([A-Z_]+)\b", path.read_text("utf-8"))
    }

    listed = {rule.name: rule.severity for rule in RULES}

    assert len(used) > 40
    for name in used - {"CODES"}:
        code = getattr(codes, name)
        assert listed[code.name] == code.severity


def test_every_code_of_the_reader_is_used() -> None:
    """A rule that nothing can break is a promise that nobody keeps."""
    sources = "".join(path.read_text("utf-8") for path in READER.rglob("*.py") if path.name != "codes.py")

    unused = [
        name for name, value in vars(codes).items() if isinstance(value, codes.Code) and f"codes.{name}" not in sources
    ]

    assert unused == []


def test_every_reason_above_the_reader_is_a_rule() -> None:
    """What the pipeline writes into findings has a rule, and each such rule is written somewhere."""
    package = READER.parent
    sources = "".join(path.read_text("utf-8") for path in package.rglob("*.py") if path.parent != READER)

    written = set(re.findall(r'(?:Finding|ExportError|RowError)\(\s*"([a-z_]+)"', sources))

    assert {"new_dataset", "too_many_objects", "no_usable_row"} <= written
    assert written <= {rule.name for rule in RULES}


def test_rules_have_one_name_each() -> None:
    """Names are what dashboards match on."""
    names = [rule.name for rule in RULES]

    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"[a-z]+(_[a-z]+)*", name) for name in names)
    assert all(rule.description.endswith((".", "?")) for rule in RULES)


SQUARE = {"x": 0.9, "y": 0.4, "w": 0.1, "h": 0.2, "theta": 45}


@pytest.mark.parametrize(
    ("row", "rule", "object_hash"),
    [
        (
            make.image_row(make.box(), make.box(0.1, object_hash="object09", name="another")),
            "class_name_differs",
            "object09",
        ),
        (
            make.image_row(make.entry("rotatable_bounding_box", {"rotatableBoundingBox": SQUARE})),
            "object_outside_frame",
            "object01",
        ),
        (make.image_row(make.box(), make.box(object_hash="object09")), "duplicate_boxes", "object09"),
        (make.image_row(make.rotated_box(), make.rotated_box(390, "object09")), "duplicate_boxes", "object09"),
        (make.image_row(make.polygon([(0.1, 0.1), (0.2, 0.2), (0.3, 0.3)])), "zero_area_polygon", "object03"),
        (make.image_row(make.bitmask("PPTl0", 1280, 720)), "empty_mask", "object07"),
        (make.image_row(make.entry("hologram", {})), "unknown_shape", "object01"),
        (make.image_row(), "unlabelled_row", None),
        (make.audio_row(), "unlabelled_row", None),
    ],
)
def test_a_fault_is_found_where_it_is(row: Json, rule: str, object_hash: str | None) -> None:
    """One finding for one fault, with the place and the severity of its rule."""
    reading = make.read(row)

    (finding,) = validate(reading.row)

    severity = next(one.severity for one in RULES if one.name == rule)
    assert (finding.rule, finding.severity) == (rule, severity)
    assert finding.location.row == reading.row.label_hash
    assert finding.location.object == object_hash


@pytest.mark.parametrize(
    "row",
    [
        make.image_row(make.box(), make.rotated_box(), make.polygon(), make.polyline(), make.point(), make.skeleton()),
        make.image_row(make.box(), make.box(featureHash="OtherCl1", object_hash="object09")),
        make.image_row(make.circle()),
        make.video_row({0: [make.box()], 1: [make.box()]}),
        make.image_row(classifications=[make.classification()]),
        make.image_row(data_type="deleted"),
    ],
)
def test_a_sound_row_has_no_findings(row: Json) -> None:
    """Two classes may share a box, a track may stand still, a negative of another class may be there."""
    assert validate(make.read(row).row) == ()


def test_a_lost_object_is_found() -> None:
    """Objects in = on frames + excluded + quarantined."""
    row = make.read(make.image_row(make.box(), make.circle(), make.box(x=9, object_hash="object09"))).row

    found = conservation(msgspec.structs.replace(row, excluded=()))

    assert conservation(row) is None
    assert found is not None
    assert (found.rule, found.severity) == ("objects_unaccounted", "error")
    assert "3 objects" in found.message


def test_severities_follow_the_configuration() -> None:
    """Only those of the named rules."""
    findings = (
        Finding("unlabelled_row", "info", Location(), "a"),
        Finding("bad_time", "warning", Location(), "b"),
    )

    applied = apply_severities(findings, {"unlabelled_row": "error"})

    assert [finding.severity for finding in applied] == ["error", "warning"]
    assert [finding.message for finding in applied] == ["a", "b"]
