"""Encord label exports in object storage become published, versioned label sets."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from encord_dagster.label_set.read import open_label_set as open_label_set
    from encord_dagster.orchestration.definitions import (
        build_label_set_definitions as build_label_set_definitions,
    )

__version__ = "0.1.0"
__all__ = ["build_label_set_definitions", "open_label_set"]


def __getattr__(name: str) -> object:
    """Import the public names when they are first used: others pay for what we import at the top."""
    if name == "open_label_set":
        from encord_dagster.label_set.read import open_label_set

        return open_label_set
    if name == "build_label_set_definitions":
        from encord_dagster.orchestration.definitions import build_label_set_definitions

        return build_label_set_definitions
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
