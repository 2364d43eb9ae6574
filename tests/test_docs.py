"""The documentation does not promise what is not there: its blocks run, page by page, as a reader would run them.

What cannot run here says why, and is parsed; see `tests/documents.py` for the marks.
"""

import json
import re
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
import yaml

from encord_dagster import open_label_set
from tests.documents import LANGUAGES, PAGES, ROOT, SHOWN, Block, BlockFailed, Run, blocks, parse

RUN = [page for page in PAGES if any(not block.why_not_run and block.language != SHOWN for block in blocks(page))]
ELSEWHERE = [(page, block.marks["runs in"]) for page in RUN for block in blocks(page) if "runs in" in block.marks]
WITH_S3 = ("docs/s3.md",)
COMMAND = re.compile(r"\$ |(encord-dagster|dg|dagster|make|python|pip|docker|kubectl|import|from) ")
EVERY = [block for page in PAGES for block in blocks(page)]


@pytest.fixture(scope="session")
def ran(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Callable[[str], Run]:
    """Runs a page, once; with an S3 server where its blocks reach buckets."""

    @cache
    def run(page: str) -> Run:
        folder = tmp_path_factory.mktemp(page.replace("/", "-"))
        server = {"AWS_ENDPOINT_URL_S3": request.getfixturevalue("s3_server")} if page in WITH_S3 else {}
        found = Run(folder, server)
        found.page(page)
        return found

    return run


@pytest.mark.parametrize("page", RUN)
def test_blocks_run_in_order(page: str, ran: Callable[[str], Run]) -> None:
    """Every block that is not marked, in the order of the page; and what is there in the end."""
    run = ran(page)

    if page in ENDS:
        ENDS[page](run.cwd)


def _readme(folder: Path) -> None:
    """A label set of two versions, a page, and data for training."""
    assert open_label_set(str(folder / "lake"), "street").version().number == 2
    assert (folder / "street.html").exists()
    assert (folder / "street" / "annotations" / "instances.json").exists()
    names = yaml.safe_load((folder / "training" / "yolo_detect" / "data.yaml").read_text())["names"]
    assert names == {0: "vehicle", 1: "person"}
    assert (folder / "training-2" / "yolo_segment" / "val.txt").exists()


def _tutorial(folder: Path) -> None:
    """The one run published one version, out of Dagster, and both splits have pictures."""
    assert [record.op for record in open_label_set(str(folder / "lake"), "street").log()] == ["publish"]
    for split in ("train", "val"):
        described = json.loads((folder / "training" / "annotations" / f"instances_{split}.json").read_text())
        assert all((folder / "training" / "media" / image["file_name"]).exists() for image in described["images"])
        assert [one["name"] for one in described["categories"]] == ["vehicle", "person"]


ENDS: dict[str, Callable[[Path], None]] = {"README.md": _readme, "docs/tutorial.md": _tutorial}


@pytest.mark.parametrize(("page", "environment"), ELSEWHERE)
def test_blocks_of_other_environments_run(page: str, environment: str, ran: Callable[[str], Run]) -> None:
    """After the rest of their page, in its folder."""
    if not (ROOT / ".make" / environment / "bin" / "python").exists():
        pytest.skip(f"this block has an environment of its own, which is not there: make {environment}")
    run = ran(page)
    for block in blocks(page):
        if block.marks.get("runs in") == environment:
            run.elsewhere(block)


def test_every_block_is_run_or_says_why_not() -> None:
    """No language that nobody runs, no reason that is empty, no mark that means nothing."""
    for block in EVERY:
        assert block.language in (*LANGUAGES, SHOWN), f"{block}: say what this is: {', '.join((*LANGUAGES, SHOWN))}"
        if block.language == SHOWN:
            assert not block.marks and not COMMAND.match(block.text), f"{block}: nothing runs {SHOWN}"
            continue
        assert all(block.marks.values()), f"{block}: a mark without a reason"
        parse(block)
        handled = block.language in ("bash", "python") or block.file or block.text.startswith("type: encord_dagster.")
        assert handled or block.why_not_run, f"{block}: nothing checks this; name its file, or say why it is not run"
    for page, text in PAGES.items():
        assert "~~~" not in text, f"{page}: fences are backticks"
        comments = re.findall(r"<!--.*?-->", text, re.DOTALL)
        marks = sum(len(block.marks) for block in blocks(page))
        assert marks == len(comments), f"{page}: a comment is no mark above a block"


def test_tests_that_run_a_block_instead_are_there() -> None:
    """They say so in their own words."""
    for block in EVERY:
        if named := block.marks.get("not run here"):
            assert Path(block.page).name in (ROOT / named).read_text("utf-8"), f"{block}: {named} does not speak of it"


def test_files_that_pages_write_are_used_on_them() -> None:
    """A file that no other block names would be code that nothing runs."""
    for block in EVERY:
        if block.file and not block.why_not_run:
            names = {block.file, Path(block.file).name, Path(block.file).with_suffix("").as_posix().replace("/", ".")}
            others = "\n".join(other.text for other in blocks(block.page) if other != block)
            implied = block.file.endswith(("pyproject.toml", "defs.yaml")) and "dg check yaml" in others
            assert implied or any(name in others for name in names), f"{block}: nothing uses {block.file}"


def test_a_block_that_fails_is_found(tmp_path: Path) -> None:
    """A command that ends badly, one that ends otherwise than marked, Python that raises, a shell that is left."""
    (tmp_path / "page").mkdir()
    run = Run(tmp_path / "page", {})

    def block(language: str, text: str, **marks: str) -> Block:
        return Block(page="page.md", line=1, language=language, text=text, marks=marks)

    run.block(block("bash", "export A=1\nmkdir below\ncd below"))
    run.block(block("python", "import os, pathlib\nfound = os.environ['A'], pathlib.Path.cwd().name"))
    run.block(block("python", "assert found == ('1', 'below')"))
    run.block(block("bash", "false now\ntrue", **{"exits 1": "false"}))
    for language, text, marks in (
        ("bash", "false\ntrue", {}),
        ("bash", "true", {"exits 1": "false"}),
        ("bash", "exit 0", {}),
        ("bash", "if", {}),
        ("python", "assert False", {}),
    ):
        with pytest.raises(BlockFailed):
            run.block(block(language, text, **marks))
