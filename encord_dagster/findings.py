"""Findings: something wrong or odd at a place in an export. Values, never exceptions."""

from typing import Literal

import msgspec

Severity = Literal["info", "warning", "error"]
RANKS: dict[str, int] = {"info": 0, "warning": 1, "error": 2}  # how bad a severity is


class Location(msgspec.Struct, frozen=True, omit_defaults=True):
    """Where in an export: from the row inwards, as far as it is known."""

    row: str | None = None  # label hash
    unit: str | None = None  # data hash of the data unit
    frame: int | None = None
    object: str | None = None  # object hash or classification hash
    space: str | None = None  # of a data group: its frames are counted in each of them

    def __str__(self) -> str:
        within = (("row", self.row), ("unit", self.unit), ("space", self.space))
        parts = (*within, ("frame", self.frame), ("object", self.object))
        return " ".join(f"{name} {value}" for name, value in parts if value is not None) or "export"


class Finding(msgspec.Struct, frozen=True):
    """One finding. `rule` is a stable code; `message` says what is wrong and what to do next."""

    rule: str
    severity: Severity
    location: Location
    message: str

    def __str__(self) -> str:
        return f"{self.message} @ {self.location} [{self.rule}]"
