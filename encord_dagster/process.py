"""A process of our own, from its start to its end: it pays for nothing that it does not use."""

import contextlib
import gc
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

# There is next to no garbage in cycles, and each search for it looks at all objects at hand.
_RARELY = (500_000, 50, 100)


def begin() -> None:
    """Before anything else is imported."""
    # numpy's threads cost more to start than importing it does, and nothing here multiplies matrices
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    gc.set_threshold(*_RARELY)


@contextlib.contextmanager
def rare_collection() -> Iterator[None]:
    """Look for garbage in cycles rarely, in a process that is not ours alone."""
    before = gc.get_threshold()
    gc.set_threshold(*_RARELY)
    try:
        yield
    finally:
        gc.set_threshold(*before)


def command(module: str, call: str) -> tuple[list[str], dict[str, str]]:
    """Arguments and environment of another process, which calls a function of one of our modules."""
    code = f"from encord_dagster import process; process.begin(); from {module} import {call}; {call}()"
    home = str(Path(__file__).parents[1])
    paths = os.pathsep.join(filter(None, (home, os.environ.get("PYTHONPATH"))))
    return [sys.executable, "-c", code], {**os.environ, "PYTHONPATH": paths}


def end(code: int) -> NoReturn:
    """End at once: the system takes memory back faster than Python gives it back, piece by piece."""
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except BrokenPipeError:  # whoever read our output has read enough
        pass
    os._exit(code)
