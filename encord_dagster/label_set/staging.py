"""A folder that appears with all of its files, or not at all."""

import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from encord_dagster.errors import UsageError


@contextmanager
def staged(folder: Path) -> Iterator[Path]:
    """A folder beside the wanted one, or within it where that exists, whose files get their names at the end."""
    exists = folder.exists()
    if exists:
        _refuse_others(folder)
    parent = folder if exists else folder.parent
    parent.mkdir(parents=True, exist_ok=True)
    staging = parent / f".checkout-{secrets.token_hex(8)}"
    staging.mkdir()
    try:
        yield staging
        if exists:  # it stays: it may be a mount, or where somebody stands
            _refuse_others(folder, staging)
            for entry in list(staging.iterdir()):
                entry.rename(folder / entry.name)
        else:
            staging.rename(folder)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _refuse_others(folder: Path, *mine: Path) -> None:
    if other := next((path for path in folder.iterdir() if path not in mine), None):
        raise UsageError(f"{folder} is not empty, it holds {other.name}; name a folder that is, or does not exist yet")
