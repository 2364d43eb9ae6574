"""How long the searching tests search: TEST_EFFORT multiplies their examples; `make test-all` sets it."""

import math
import os

EFFORT = int(os.environ.get("TEST_EFFORT", "1"))


def examples(count: int) -> int:
    """That many examples in the quick run, more in the long one."""
    return count * EFFORT


def apart(step: int) -> int:
    """How far apart the places lie of which pairs are tried; in the long run pairs grow in number as examples do."""
    return max(1, round(step / math.sqrt(EFFORT)))
