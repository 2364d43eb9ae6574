"""The README does not promise what is not there: its names exist. Its blocks run in `test_docs.py`."""

import re
from pathlib import Path

from encord_dagster.validation import RULES

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text("utf-8")


def test_its_make_targets_exist() -> None:
    """Every `make` command that it names is in the Makefile."""
    targets = set(re.findall(r"^([a-z0-9-]+):.*##", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))

    named = set(re.findall(r"^make ([a-z0-9-]+)$|`make ([a-z0-9-]+)`", README, re.MULTILINE))

    assert {one or other for one, other in named} <= targets


def test_the_names_in_its_outcome_table_exist() -> None:
    """Rules and reasons for exclusion are those of the code."""
    table = README.partition("## What bad input costs")[2].partition("## ")[0]
    named = {name for row in table.splitlines() if row.startswith("| ") for name in re.findall(r"`(\w+)`", row)}
    reasons = {"deleted", "duplicate", "unsupported_shape", "unsupported_modality", "other_branch", "failed"}

    unknown = named - {rule.name for rule in RULES} - reasons - {"label_hash", "data_hash"}

    assert unknown == set()
