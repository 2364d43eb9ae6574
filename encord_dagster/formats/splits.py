"""Which images train, validate and test: decided by a hash of what they belong to, so new data moves no old image.

A group lies in the split whose part of the line from 0 to 1 its hash falls on. Nothing but its own name decides, so
shares are those asked for only on average. Evening out classes takes a look at the other groups: see `stratify`.
"""

import hashlib
import re
from collections.abc import Mapping
from typing import Literal, get_args

from encord_dagster.errors import UsageError
from encord_dagster.formats.labelled import Labelled

SplitBy = Literal["data_hash", "label_hash", "dataset_hash", "title"]
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,31}")
_LARGEST = 2**64


def checked(shares: Mapping[str, float]) -> None:
    """Refuse what is no division of a whole."""
    for name, share in shares.items():
        if not NAME.fullmatch(name):
            raise UsageError(f"split {name!r}: use letters, digits, _ and -, at most 32, as it names files")
        if not 0 < share <= 1:
            raise UsageError(f"split {name}: {share} is no share; use more than 0 and at most 1, for instance 0.8")
    if shares and abs(sum(shares.values()) - 1) > 1e-9:
        raise UsageError(f"splits: the shares add up to {sum(shares.values()):g}; they must add up to 1")


def parsed(text: str) -> dict[str, float]:
    """The shares in a text such as `train=0.8,val=0.1,test=0.1`."""
    shares: dict[str, float] = {}
    for part in text.split(","):
        name, equals, share = part.strip().partition("=")
        try:
            number = float(share)
        except ValueError:
            equals = ""
        if not equals or name in shares:
            raise UsageError(f"splits {text!r}: name each once with its share, as in train=0.8,val=0.1,test=0.1")
        shares[name] = number
    return shares


def group_of(one: Labelled, by: SplitBy) -> str:
    """What an image is split by. Rows that describe one image have the group of the first.

    Raises:
        UsageError: the field is unknown, or not published.
    """
    origin = one.image.encord
    group: object
    match by:
        case "data_hash":
            group = origin.data_hash
        case "label_hash":
            group = origin.label_hash
        case "dataset_hash":
            group = one.dataset_hash
        case "title":
            group = one.image.image_title or None
    if not isinstance(group, str):
        raise UsageError(
            f"split_by {by}: image {one.image.id} has none published; use another of {', '.join(get_args(SplitBy))}"
        )
    return group


def split_of(group: str, shares: Mapping[str, float], seed: str = "") -> str:
    """The split of a group: the same whatever else there is. "" where nothing is split."""
    if not shares:
        return ""
    place = place_of(group, seed) / _LARGEST
    reached = 0.0
    for name, share in shares.items():
        reached += share
        if place < reached:
            return name
    return list(shares)[-1]  # the shares add up to a little less than 1


def place_of(group: str, seed: str = "") -> int:
    """Where the hash of a group falls: 0 to 2**64 - 1."""
    return int.from_bytes(hashlib.sha256(f"split\0{seed}\0{group}".encode()).digest()[:8], "big")
