"""Realistic sample exports of made-up projects, deterministic by seed; shares no code with the reader."""

from encord_dagster.samples.bad import BAD_OBJECTS, bad_exports, bad_row
from encord_dagster.samples.exports import Project, first_export, large_project, next_export, ontology
from encord_dagster.samples.files import write_samples
from encord_dagster.samples.stamps import canaries

__all__ = [
    "BAD_OBJECTS",
    "Project",
    "bad_exports",
    "bad_row",
    "canaries",
    "first_export",
    "large_project",
    "next_export",
    "ontology",
    "write_samples",
]
