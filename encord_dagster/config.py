"""What a user may choose about a label set. Defaults are the safe choice."""

import hashlib
import hmac
import os
import re
from typing import Literal, get_args

import msgspec

from encord_dagster.errors import UsageError
from encord_dagster.findings import Severity

CONVERTER_VERSION = 3  # raised whenever the same row and options would give other content
SHORTEST_KEY = 16  # characters: shorter ones can be found by trying
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}")

Publish = Literal["titles", "links", "people", "times"]
HOLDING = ("class_vanished", "annotations_dropped", "class_share_shifted")  # rules that can hold a version back


class Thresholds(msgspec.Struct, frozen=True, kw_only=True):
    """From when on a new version looks suspicious beside the one before. Shares are 0 to 1; 1 switches a rule off."""

    class_vanished: int = 1  # objects that a class had, and has none of them any more
    annotations_dropped: float = 0.2  # share of all annotations that are gone
    class_share_shifted: float = 0.15  # how far the share of a class among all annotations moved
    class_share_needs: int = 50  # annotations in the version before, below which shares say nothing

    def __post_init__(self) -> None:
        """Refuse what is no share: 20 for 20% would switch the rule off unseen."""
        for name in ("annotations_dropped", "class_share_shifted"):
            if not 0 <= getattr(self, name) <= 1:
                raise UsageError(f"threshold {name}: {getattr(self, name)} is no share; use 0 to 1, for instance 0.2")
        for name in ("class_vanished", "class_share_needs"):
            if getattr(self, name) < 1:
                raise UsageError(f"threshold {name}: {getattr(self, name)} is no number of objects; use 1 or more")


class LabelSetConfig(msgspec.Struct, frozen=True, kw_only=True):
    """Configuration of one label set."""

    name: str
    branch: str = "main"  # label rows of other branches are left out, their objects counted as other_branch
    on_bad_object: Literal["quarantine_object", "quarantine_row", "fail_export"] = "quarantine_object"
    severities: dict[str, Severity] = {}  # rule -> severity, where the default does not suit
    label_statuses: tuple[str, ...] = ()  # labels of rows of another status are left out as filtered; empty: all wanted
    workflow_nodes: tuple[str, ...] = ()  # likewise by workflow stage
    ontology: str = ""  # the JSON of an ontology; it decides over ontologies that come with exports
    name_pattern: str = ""  # regular expression for names of exports; named groups go into metadata and lineage
    masks: bool = True  # semantic and instance PNGs
    keep_raw: bool = True  # False: only a pointer to the export stays in the lake, and quarantine cannot be replayed
    inline_coco_bytes: int = 256 * 2**20  # up to this size a version also holds a plain annotations/instances.json
    min_area_pixels: float = 0  # smaller objects are a finding; 0: not checked
    thresholds: Thresholds = Thresholds()  # beside the version before
    hold_back: tuple[str, ...] = ("class_vanished", "annotations_dropped")  # rules that hold a version back as errors
    content: Literal["join", "export"] = "join"  # a version holds the newest state of all rows, or its newest export
    landing: Literal["partial", "complete"] = "partial"  # whether every export is meant to hold all rows
    absent_after: int = 3  # complete exports in a row without a row of the version, from when on it is a finding
    publish: tuple[Publish, ...] = ()  # what is published beyond labels, see docs/privacy.md
    free_text: bool = True  # False: text answers are left out
    pseudonym_key_variable: str = ""  # NAME of the environment variable with the key that makes people pseudonyms

    def __post_init__(self) -> None:
        """Refuse a name that could not be a folder or a Dagster asset key, and a pattern that is none."""
        if not NAME.fullmatch(self.name):
            raise UsageError(f"label set name {self.name!r}: use letters, digits, _ and -, at most 63, letter first")
        try:
            re.compile(self.name_pattern)
        except re.error as error:
            raise UsageError(f"name pattern {self.name_pattern!r} is no regular expression: {error}") from error
        if unknown := set(self.publish) - set(get_args(Publish)):
            known = ", ".join(get_args(Publish))
            raise UsageError(f"publish {', '.join(map(repr, sorted(unknown)))}: there are {known}")
        if wrong := set(self.hold_back) - set(HOLDING):
            known = ", ".join(HOLDING)
            raise UsageError(f"hold_back {', '.join(map(repr, sorted(wrong)))}: there are {known}")
        if self.absent_after < 1:
            raise UsageError(f"absent_after: {self.absent_after} is no number of exports; use 1 or more")
        if "people" in self.publish and not self.pseudonym_key_variable:
            raise UsageError(
                "people are published as pseudonyms only: name the environment variable that holds the key for them "
                f"(pseudonym_key_variable), a random text of {SHORTEST_KEY} characters or more"
            )

    def pseudonym_key(self) -> bytes:
        """The key for pseudonyms, empty where people are not published. UsageError where it is not there.

        It is read where it is used, and is part of nothing that is printed or stored.
        """
        if "people" not in self.publish:
            return b""
        key = os.environ.get(self.pseudonym_key_variable, "")
        if len(key) < SHORTEST_KEY:
            what = f"has fewer than {SHORTEST_KEY} characters" if key else "is not set"
            raise UsageError(
                f"people are to be published, and the environment variable {self.pseudonym_key_variable!r} {what}: "
                "put a random text into it, such as `openssl rand -hex 32` prints, and keep it: another key gives "
                "everybody another pseudonym"
            )
        return key.encode()

    def digest(self, *, with_key: bool = True) -> str:
        """sha256 hex over what changes converted content: converter and choices, not severities or copies.

        Without the key for where it is not at hand. A label set that publishes nothing more keeps the digest that it
        had before there was this choice.
        """
        chosen: dict[str, object] = {
            "converter": CONVERTER_VERSION,
            "branch": self.branch,
            "on_bad_object": self.on_bad_object,
            "label_statuses": sorted(self.label_statuses),
            "workflow_nodes": sorted(self.workflow_nodes),
            "ontology": hashlib.sha256(self.ontology.encode()).hexdigest() if self.ontology else "",
            "masks": self.masks,
        }
        if self.content != "join":
            chosen["content"] = self.content
        if self.publish:
            chosen["publish"] = sorted(set(self.publish))
        if not self.free_text:
            chosen["free_text"] = False
        if with_key and (key := self.pseudonym_key()):
            chosen["pseudonyms"] = hmac.new(key, b"encord_dagster: which key", hashlib.sha256).hexdigest()
        return hashlib.sha256(msgspec.json.encode(chosen, order="sorted")).hexdigest()
