"""What a range of an export is asked to become, and what became of it: values that pass between processes."""

import msgspec

from encord_dagster.config import LabelSetConfig
from encord_dagster.formats.fragment import Category
from encord_dagster.formats.labelled import About
from encord_dagster.stream.counts import Counts


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """A range to convert. `categories` are those that are known, `folder` takes spools, `masks` pictures, if wanted."""

    path: str
    start: int
    end: int
    last: bool  # whether the range ends the array
    opening: str  # what rows open with
    config: LabelSetConfig
    ontology: str | None
    categories: tuple[Category, ...]
    folder: str
    masks: str | None
    about: bool = False  # whether to note of each row what COCO does not say of it


class Done(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a range; `categories` are those that it knew in the end."""

    counts: Counts
    categories: tuple[Category, ...]
    abouts: tuple[About, ...] = ()  # that rows have, each once
