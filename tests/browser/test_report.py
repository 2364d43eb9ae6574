"""The page of a version, opened from its file in a real browser that reaches nobody."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from encord_dagster.cli import main
from encord_dagster.page.write import page as page_of
from encord_dagster.samples import Project, first_export, next_export
from tests.browser import chromium
from tests.browser.chromium import Page
from tests.browser.lake import FIRST_DAY
from tests.browser.test_pages import LINKS, LOADED, keep
from tests.orchestration.hostile_names import NAMES
from tests.page.test_page import hostile_desk

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def opened() -> Iterator[Page]:
    """A browser."""
    if chromium.installed() is None:
        pytest.skip("there is no Chromium: apt-get install chromium; `make browser` insists on it")
    with chromium.browser() as page:
        yield page


def test_a_reader_sees_classes_sizes_answers_and_changes(opened: Page, tmp_path: Path) -> None:
    """All of it in one file, every picture drawn, nothing wider than the window."""
    first = first_export(Project(3, 48), exported_at=FIRST_DAY)
    options = ["--lake", str(tmp_path / "lake"), "--name", "street"]
    for name, data in (("one", first), ("two", next_export(first, seed=5, exported_at=FIRST_DAY, changed=6, added=4))):
        (tmp_path / f"{name}.json").write_bytes(data)
        assert main(["ingest", "-q", str(tmp_path / f"{name}.json"), *options]) == 0
    assert main(["report", "latest", "--against", "1", "-o", str(tmp_path / "street.html"), *options]) == 0
    opened.resize(1240, 1180)
    opened.asked.clear()

    opened.open(f"file://{tmp_path}/street.html", until="street, version 2")

    opened.wait_for("Lane marking", "rotatable_bounding_box", "Sizes of objects", "Occlusion", "unlabelled_frame")
    opened.wait_for("From version 1 to version 2", "Images whose labels changed: before, after", "tables:outline")
    widths = opened.run(LOADED)
    assert len(widths) >= 8
    assert min(widths) > 80
    assert opened.run("document.querySelectorAll('svg rect').length") > 50
    assert opened.run("document.documentElement.scrollWidth") <= 1240
    assert opened.run("document.scripts.length") == 0
    assert [url for url in opened.asked if not url.startswith(("file://", "data:"))] == []
    keep(opened, tmp_path, "report")


def test_names_are_text_in_the_browser_too(opened: Page, tmp_path: Path) -> None:
    """No link, no picture, no script comes of them."""
    shown, found = page_of(hostile_desk().label_set(), 2, 1)
    (tmp_path / "hostile.html").write_text(shown, "utf-8")
    opened.resize(1240, 900)
    opened.asked.clear()

    opened.open(f"file://{tmp_path}/hostile.html", until="version 2")

    opened.wait_for(*(name for name in NAMES if name.isprintable()))
    assert opened.run(LINKS) == []
    assert opened.run("document.querySelectorAll('script, iframe, link, object, embed, [onerror]').length") == 0
    assert len(opened.run(LOADED)) == opened.run("document.images.length") > 0
    assert [url for url in opened.asked if not url.startswith(("file://", "data:"))] == []
    assert len(found.classes) == len(NAMES)
