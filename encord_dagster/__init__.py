"""Encord label exports in object storage become published, versioned label sets."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from encord_dagster.label_set.read import open_label_set as open_label_set
    from encord_dagster.orchestration.component import EncordLabelSetComponent as EncordLabelSetComponent
    from encord_dagster.orchestration.definitions import (
        build_label_set_definitions as build_label_set_definitions,
    )

__version__ = "0.1.0"
__all__ = ["EncordLabelSetComponent", "build_label_set_definitions", "open_label_set"]


def __getattr__(name: str) -> object:
    """Import the public names when they are first used: others pay for what we import at the top."""
    if name == "open_label_set":
        from encord_dagster.label_set.read import open_label_set

        return open_label_set
    if name == "build_label_set_definitions":
        from encord_dagster.orchestration.definitions import build_label_set_definitions

        return build_label_set_definitions
    if name == "EncordLabelSetComponent":
        from encord_dagster.orchestration.component import EncordLabelSetComponent

        return EncordLabelSetComponent
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    """The names that are there, and the component: `dg` asks for each of these in every project, so no reader here."""
    return sorted({*globals(), "EncordLabelSetComponent"})
