"""A random ontology, as Encord's ontology document writes one: every shape, every type of attribute."""

import random
from typing import Any

Json = dict[str, Any]

SHAPES = (
    "bounding_box",
    "rotatable_bounding_box",
    "polygon",
    "polyline",
    "point",
    "skeleton",
    "bitmask",
)
NEW_SHAPES = ("circle", "ellipse")  # unknown to SDKs before 2026, which refuse an ontology that names them
ATTRIBUTES = ("radio", "checklist", "text", "numeric")
CLASSES_PER_SHAPE = 2
_HASH = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"


def short_hash(rng: random.Random) -> str:
    """A hash as Encord makes them: eight characters, `/` and `+` among them."""
    return "".join(rng.choices(_HASH, k=8))


def random_ontology(seed: int, *, new_shapes: bool) -> Json:
    """The document; with the same seed it is the same, but for the classes of new shapes at its end."""
    rng = random.Random(f"ontology {seed}")
    names = [(shape, number) for shape in SHAPES + NEW_SHAPES for number in range(CLASSES_PER_SHAPE)]
    objects = [_class(rng, index + 1, shape, number) for index, (shape, number) in enumerate(names)]
    classifications = [_classification(rng, index + 1, kind) for index, kind in enumerate((*ATTRIBUTES, "global"))]
    shown = [one for one in objects if new_shapes or one["shape"] not in NEW_SHAPES]
    return {"objects": shown, "classifications": classifications}


def joints_of(document: Json, feature_hash: str) -> list[Json]:
    """The joints that skeletons of a class have: names and hashes, made of the hash of their class."""
    rng = random.Random(f"joints {feature_hash}")
    joints = [{"name": f"joint {index}", "featureHash": short_hash(rng)} for index in range(rng.randint(2, 6))]
    return [] if feature_hash not in {one["featureNodeHash"] for one in document["objects"]} else joints


def all_attributes(item: Json) -> list[Json]:
    """The attributes of a class or classification, those nested below options among them."""
    found = []
    for attribute in item.get("attributes", []):
        found.append(attribute)
        for option in attribute.get("options", []):
            found += all_attributes({"attributes": option.get("options", [])})
    return found


def _class(rng: random.Random, uid: int, shape: str, number: int) -> Json:
    kinds = [(kind, dynamic) for kind in ATTRIBUTES for dynamic in (False, True)]
    chosen = kinds if number == 0 else rng.sample(kinds, rng.randint(0, 4))
    return {
        "id": str(uid),
        "name": f"{shape.replace('_', ' ')} {number}",
        "color": "#D33115",
        "shape": shape,
        "featureNodeHash": short_hash(rng),
        "required": False,
        "attributes": [_attribute(rng, f"{uid}.{place + 1}", *kind) for place, kind in enumerate(chosen)],
    }


def _classification(rng: random.Random, uid: int, kind: str) -> Json:
    of_the_whole = kind == "global"
    attribute = _attribute(rng, f"{uid}.1", "radio" if of_the_whole else kind, False)
    level = {"level": "global"} if of_the_whole else {}
    return {"id": str(uid), "featureNodeHash": short_hash(rng), "attributes": [attribute], **level}


def _attribute(rng: random.Random, uid: str, kind: str, dynamic: bool) -> Json:
    name = f"{kind} {uid}"
    attribute: Json = {
        "id": uid,
        "name": name,
        "type": kind,
        "featureNodeHash": short_hash(rng),
        "required": False,
        "dynamic": dynamic,
    }
    if kind == "radio":  # radios of one class share the labels of their options: only hashes tell them apart
        labels = [f"option {index}" for index in range(rng.randint(1, 4))]
        attribute["options"] = [_option(rng, f"{uid}.{i + 1}", one, nest=not dynamic) for i, one in enumerate(labels)]
    elif kind == "checklist":
        labels = [f"{name} option {index}" for index in range(rng.randint(1, 5))]
        attribute["options"] = [_option(rng, f"{uid}.{i + 1}", one, nest=False) for i, one in enumerate(labels)]
    return attribute


def _option(rng: random.Random, uid: str, label: str, *, nest: bool) -> Json:
    option: Json = {"id": uid, "label": label, "value": label.replace(" ", "_"), "featureNodeHash": short_hash(rng)}
    if nest and uid.count(".") < 6 and rng.random() < 0.4:
        kinds = rng.sample(ATTRIBUTES, rng.randint(1, 2))
        option["options"] = [_attribute(rng, f"{uid}.{place + 1}", kind, False) for place, kind in enumerate(kinds)]
    return option
