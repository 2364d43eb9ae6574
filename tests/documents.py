"""The blocks of the documentation, and how they are run: in order, page by page, in an empty folder.

A comment on the line above a block says what a reader need not see:

    <!-- not run: why -->              it is only parsed; `not run here: tests/...` names the test that runs it
    <!-- exits 1: encord-dagster x --> this command ends with that code; all others must end with 0
    <!-- runs in: readers-torch -->    Python of that environment below .make, where it is there
    <!-- before: command -->           what is there before the page's first block, over as many lines as it takes

A block whose first line is `# some/file.py` is that file.
"""

import ast
import os
import re
import subprocess
import sys
import textwrap
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest
import yaml

from encord_dagster import EncordLabelSetComponent

ROOT = Path(__file__).parents[1]
PAGES = {
    path.relative_to(ROOT).as_posix(): path.read_text("utf-8")
    for path in (ROOT / "README.md", ROOT / "deploy" / "README.md", *sorted((ROOT / "docs").rglob("*.md")))
}
LANGUAGES = ("bash", "python", "yaml", "toml")
SHOWN = "text"  # what commands print, figures, layouts
COMPONENT = "encord_dagster.EncordLabelSetComponent"
_FENCE = re.compile(r"^( *)```(\S*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
_MARK = re.compile(r"<!-- (not run|not run here|exits \d+|runs in|before): *(.*?) *-->", re.DOTALL)
_MARKS_ABOVE = re.compile(r"(?:^ *<!-- (?:(?!-->).)*-->\n)+\Z", re.MULTILINE | re.DOTALL)
_FILE = re.compile(r"^# ([\w./-]+\.(?:py|yaml|toml))\n")
_REPORT = """
trap 'printf "%s\\t%s\\n" "$?" "$BASH_COMMAND" >> "$BLOCK/failed"' ERR
set -uo pipefail
{text}
{{ env -0 > "$BLOCK/env"; pwd > "$BLOCK/cwd"; }}
"""


class BlockFailed(Exception):
    """A block did not do what the page says; the text names it and what it printed."""


class Block(msgspec.Struct, frozen=True, kw_only=True):
    """A fenced block; `marks` are those of the comments above it."""

    page: str
    line: int
    language: str
    text: str
    marks: dict[str, str]

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"

    @property
    def file(self) -> str | None:
        """The file that it is."""
        found = _FILE.match(self.text)
        return found[1] if found else None

    @property
    def why_not_run(self) -> str | None:
        """Why it is only parsed."""
        return self.marks.get("not run") or self.marks.get("not run here")

    @property
    def exits(self) -> list[tuple[int, str]]:
        """Codes other than 0, and how the commands begin that end with them."""
        return [(int(name[6:]), text) for name, text in self.marks.items() if name.startswith("exits ")]


def blocks(page: str) -> list[Block]:
    """The blocks of a page, in order."""
    return list(_blocks(page, PAGES[page]))


def _blocks(page: str, text: str) -> Iterator[Block]:
    for fence in _FENCE.finditer(text):
        above = _MARKS_ABOVE.search(text, 0, fence.start())
        yield Block(
            page=page,
            line=text.count("\n", 0, fence.start()) + 1,
            language=fence[2],
            text=textwrap.dedent(fence[3]),
            marks=dict(_MARK.findall(above[0])) if above else {},
        )


def parse(block: Block) -> None:
    """Refuse what the language's own parser refuses."""
    match block.language:
        case "bash":
            done = subprocess.run(["bash", "-n"], input=block.text, text=True, capture_output=True)
            if done.returncode:
                raise BlockFailed(f"{block}: {done.stderr}")
        case "python":
            ast.parse(block.text, filename=str(block))
        case "yaml":
            for document in yaml.safe_load_all(block.text):
                _check_component(document)
        case "toml":
            tomllib.loads(block.text)
        case other:
            raise BlockFailed(f"{block}: {other!r} is none of {', '.join((*LANGUAGES, SHOWN))}")


def _check_component(document: Any) -> None:
    """What `dg check yaml` does with a component of ours."""
    if isinstance(document, dict) and document.get("type") == COMPONENT:
        jsonschema.validate(document["attributes"], EncordLabelSetComponent.model().model_json_schema())


class Run:
    """A page that is being run: its folder, its environment, and the names that its Python has defined."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self.cwd, self._names = folder, {"__name__": "page"}
        self._scratch = folder.with_name(folder.name + "-block")
        self._scratch.mkdir()
        (folder / ".home").mkdir()
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "DAGSTER_"))}
        self._environment = kept | {
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
            "HOME": str(folder / ".home"),
            "DAGSTER_DISABLE_TELEMETRY": "1",
            "BLOCK": str(self._scratch),
            **environment,
        }

    def page(self, page: str) -> None:
        """Run all blocks of a page, except those of other environments."""
        for block in blocks(page):
            if block.language != SHOWN:
                self.block(block)

    def block(self, block: Block) -> None:
        """Run one block, or write the file that it is."""
        parse(block)
        if "before" in block.marks:
            self._bash(block, block.marks["before"], [])
        if block.why_not_run or "runs in" in block.marks:
            return
        if block.file:
            path = self.cwd / block.file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.text, "utf-8")
        elif block.language == "bash":
            self._bash(block, block.text, block.exits)
        elif block.language == "python":
            self._python(block)

    def elsewhere(self, block: Block) -> None:
        """Run the Python of a block in the environment that it names."""
        interpreter = ROOT / ".make" / block.marks["runs in"] / "bin" / "python"
        environment = self._environment | {"PYTHONPATH": ""}
        command = [str(interpreter), "-c", block.text]
        done = subprocess.run(command, cwd=self.cwd, env=environment, capture_output=True, text=True)
        if done.returncode:
            raise BlockFailed(f"{block}\n{done.stdout[-2000:]}{done.stderr[-3000:]}")

    def _bash(self, block: Block, text: str, exits: list[tuple[int, str]]) -> None:
        for name in ("failed", "env", "cwd"):
            (self._scratch / name).unlink(missing_ok=True)
        command = ["bash", "-c", _REPORT.format(text=text)]
        done = subprocess.run(command, cwd=self.cwd, env=self._environment, capture_output=True, text=True)
        said = f"{block}\n{done.stdout[-2000:]}{done.stderr[-3000:]}"
        if not (self._scratch / "cwd").exists():
            raise BlockFailed(f"it ended early with {done.returncode}: {said}")
        failed = self._scratch / "failed"
        ended = [line.split("\t", 1) for line in (failed.read_text() if failed.exists() else "").splitlines()]
        wanted = [[str(code), command] for code, command in exits]
        if [code for code, _ in ended] != [code for code, _ in wanted] or not all(
            command.startswith(begins) for (_, command), (_, begins) in zip(ended, wanted, strict=True)
        ):
            raise BlockFailed(f"commands failed: {ended}, and {wanted} should have: {said}")
        pairs = (pair.partition("=") for pair in (self._scratch / "env").read_text().split("\0") if pair)
        self._environment = {name: value for name, _, value in pairs}
        self.cwd = Path((self._scratch / "cwd").read_text().rstrip("\n"))

    def _python(self, block: Block) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(self.cwd)
            for name in os.environ.keys() - self._environment.keys():
                patch.delenv(name)
            for name, value in self._environment.items():
                patch.setenv(name, value)
            try:
                exec(compile(block.text, str(block), "exec"), self._names)  # noqa: S102 - our own documentation
            except Exception as error:
                raise BlockFailed(f"{block}: {type(error).__name__}: {error}") from error
