"""Markdown that Dagster's page renders. Text of exports is in it only as code, where nothing means anything.

A backslash would not do: the page makes links of bare addresses after it has taken the backslashes away.
"""

import base64
import json
from collections.abc import Iterable, Sequence

MORE = "…"


def code(text: str, *, most: int = 80) -> str:
    """Any text, as it stands: no link, picture or markup comes of it, and no column or line of a table."""
    shown = "".join(letter if letter.isprintable() else " " for letter in text[: most + 1])
    shown = (shown if len(shown) <= most else shown[: most - 1] + MORE).strip().replace("`", "'").replace("|", "\\|")
    return f"`{shown}`" if shown else "` `"


def table(columns: Sequence[str], rows: Iterable[Sequence[str | int]], *, most_bytes: int, rest: str = "") -> str:
    """A table of as many rows as fit; where some do not, `rest` follows. Cells of exports' text are `code`."""
    lines = [_line(columns), "|" + " --- |" * len(columns)]
    room = most_bytes - sum(size(line) for line in lines)
    for row in rows:
        line = _line([f"{cell:,}" if isinstance(cell, int) else cell for cell in row])
        room -= size(line)
        if room < 0:
            return "\n".join(lines) + f"\n\n{MORE} {rest}".rstrip()
        lines.append(line)
    return "\n".join(lines)


def size(text: str) -> int:
    """Bytes of a text as Dagster's database keeps it, a line break more."""
    return len(json.dumps(text))


def picture(png: bytes, what: str) -> str:
    """A picture that lies in the text itself: the page asks nobody for it."""
    return f"![{what}](data:image/png;base64,{base64.b64encode(png).decode()})"


def _line(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cells) + " |"
