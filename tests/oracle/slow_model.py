"""The format once more, slowly and from its description alone: no code of the project, a scan for every question."""

import cmath
import math
from typing import Any

Json = dict[str, Any]
Answer = str | float | list[str]


def frames_of(row: Json) -> dict[int, tuple[str, int, int, Json]]:
    """Frame number -> data hash, width, height and labels, of every frame that a row with pixels names."""
    found: dict[int, tuple[str, int, int, Json]] = {}
    for unit in row["data_units"].values():
        labels = unit["labels"]
        flat = "objects" in labels or "classifications" in labels
        for number, one in ({unit["data_sequence"]: labels} if flat else labels).items():
            own = one.get("metadata") or {}
            width, height = own.get("width", unit["width"]), own.get("height", unit["height"])
            found[int(number)] = (unit["data_hash"], width, height, one)
    return found


def entries_of(row: Json) -> dict[tuple[int, str], Json]:
    """The object entries by frame number and object hash."""
    return {
        (number, entry["objectHash"]): entry
        for number, (_, _, _, labels) in frames_of(row).items()
        for entry in labels.get("objects", [])
    }


def answers_at(row: Json, object_hash: str, frame: int) -> dict[str, Answer]:
    """Attribute hash -> answer of an object at a frame; ticks that hold together add up, else the last one wins."""
    found: dict[str, Answer] = {}
    for answer in row["object_answers"].get(object_hash, {}).get("classifications", []):
        _add(found, answer)
    for action in row["object_actions"].get(object_hash, {}).get("actions", []):
        if any(first <= frame <= last for first, last in action["range"]):
            _add(found, action)
    return {key: answer for key, answer in found.items() if answer not in ("", [])}


def overlapping_radio(row: Json, ontology: Json, object_hash: str, frame: int) -> set[str]:
    """The radio attributes of an object that are answered more than once at a frame."""
    radios = {one["featureNodeHash"] for cls in ontology["objects"] for one in cls.get("attributes", [])}
    radios = {one for one in radios if _kind(ontology, one) == "radio"}
    held = [
        action["featureHash"]
        for action in row["object_actions"].get(object_hash, {}).get("actions", [])
        if any(first <= frame <= last for first, last in action["range"])
    ]
    return {one for one in radios if held.count(one) > 1}


def classification_answers(row: Json, key: str) -> dict[str, Answer]:
    """Attribute hash -> answer of a classification."""
    found: dict[str, Answer] = {}
    for answer in row["classification_answers"].get(key, {}).get("classifications", []):
        _add(found, answer)
    return {attribute: answer for attribute, answer in found.items() if answer not in ("", [])}


def ticks_apart(row: Json, key: str) -> bool:
    """Whether the ticks of one checklist of a classification are answers of their own."""
    hashes = [one["featureHash"] for one in row["classification_answers"].get(key, {}).get("classifications", [])]
    return len(set(hashes)) < len(hashes)


def placements(row: Json) -> dict[str, set[int]]:
    """Classification hash -> the frames that list it, and those in its ranges; empty for the whole asset."""
    found: dict[str, set[int]] = {}
    for key, answer in row["classification_answers"].items():
        spans = answer.get("range") or []
        found[key] = {frame for first, last in spans for frame in range(first, last + 1)}
    for number, (_, _, _, labels) in frames_of(row).items():
        for entry in labels.get("classifications", []):
            found.setdefault(entry["classificationHash"], set()).add(number)
    return found


def visibility(joint: Json) -> int:
    """COCO's number for a joint: its flags say it, else the word that the SDK writes."""
    if any(joint.get(name) is True for name in ("invisible", "occluded", "selfOccluded")):
        return 0 if joint.get("invisible") is True else 1
    return {"invisible": 0, "occluded": 1, "selfOccluded": 1}.get(joint.get("visibility", ""), 2)


def corners(box: list[float]) -> list[tuple[float, float]]:
    """Corners of x, y, width, height, degrees: turned about the centre by a complex factor, y downwards."""
    x, y, width, height, theta = box
    centre = complex(x + width / 2, y + height / 2)
    turn = cmath.exp(1j * math.radians(theta))
    halves = (complex(sx * width / 2, sy * height / 2) for sx, sy in ((-1, -1), (1, -1), (1, 1), (-1, 1)))
    return [((centre + half * turn).real, (centre + half * turn).imag) for half in halves]


def ellipse_hull(ellipse: list[float]) -> list[float]:
    """The box around x, y, rx, ry, degrees, as x, y, width, height."""
    x, y, rx, ry, theta = ellipse
    turn = math.radians(theta)
    across = math.hypot(rx * math.cos(turn), ry * math.sin(turn))
    down = math.hypot(rx * math.sin(turn), ry * math.cos(turn))
    return [x - across, y - down, 2 * across, 2 * down]


def _kind(ontology: Json, feature_hash: str) -> str | None:
    for cls in ontology["objects"]:
        for attribute in cls.get("attributes", []):
            if attribute["featureNodeHash"] == feature_hash:
                return str(attribute["type"])
    return None


def _add(found: dict[str, Answer], answer: Json) -> None:
    given, key = answer["answers"], answer["featureHash"]
    if isinstance(given, list):
        before = found.get(key, [])
        held = before if isinstance(before, list) else []
        found[key] = sorted({*held, *(option["featureHash"] for option in given)})
    else:
        found[key] = given
