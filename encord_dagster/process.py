"""A process of our own, from its start to its end: it pays for nothing that it does not use."""

import gc
import os
import sys
from typing import NoReturn


def begin() -> None:
    """Before anything else is imported."""
    # numpy's threads cost more to start than importing it does, and nothing here multiplies matrices
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    # there is next to no garbage in cycles, and each search for it looks at all rows at hand
    gc.set_threshold(200_000, 50, 100)


def end(code: int) -> NoReturn:
    """End at once: the system takes memory back faster than Python gives it back, piece by piece."""
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except BrokenPipeError:  # whoever read our output has read enough
        pass
    os._exit(code)
