"""How long the searching tests search: TEST_EFFORT multiplies their examples; `make test-all` sets it."""

import os

EFFORT = int(os.environ.get("TEST_EFFORT", "1"))


def examples(count: int) -> int:
    """That many examples in the quick run, more in the long one."""
    return count * EFFORT
