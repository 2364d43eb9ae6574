"""Python's search for garbage in cycles, made rare where many objects live and next to none of them is garbage."""

import contextlib
import gc
from collections.abc import Iterator


@contextlib.contextmanager
def rare_collection() -> Iterator[None]:
    """Look for garbage in cycles rarely: each search looks at all objects at hand."""
    before = gc.get_threshold()
    gc.set_threshold(200_000, 50, 100)
    try:
        yield
    finally:
        gc.set_threshold(*before)
