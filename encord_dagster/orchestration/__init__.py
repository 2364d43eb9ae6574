"""The Dagster layer: the only importer of dagster."""
