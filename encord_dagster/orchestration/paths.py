"""Objects of the user's project that its YAML names."""

from importlib import import_module

from encord_dagster.errors import UsageError


def at_path(path: str, *, what: str) -> object:
    """What lies at a path as `my_project.alerts.notify`. UsageError, which begins with `what`, where nothing does."""
    module, _, name = path.rpartition(".")
    if not module:
        raise UsageError(f"{what} {path!r} is no Python path, as my_project.{what}.it")
    try:
        found: object = getattr(import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise UsageError(f"{what} {path!r} cannot be imported: {error}") from error
    return found
