"""The documentation in a real browser that reaches nobody, opened from its files as `make docs` leaves them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.browser import chromium
from tests.browser.chromium import Page
from tests.test_site import built

pytestmark = pytest.mark.browser
WIDTH = 1400
WIDE = "[...document.querySelectorAll('.table-wrapper')].filter(one => one.scrollWidth > one.clientWidth + 1).length"


@pytest.fixture(scope="module")
def opened() -> Iterator[Page]:
    """A browser."""
    if chromium.installed() is None:
        pytest.skip("there is no Chromium: apt-get install chromium; `make browser` insists on it")
    with chromium.browser(width=WIDTH) as page:
        yield page


def test_every_page_opens_offline(opened: Page) -> None:
    """Nothing is asked of anybody, every picture is drawn, no table is wider than its page."""
    pages = [path for path in built("html") if path.name not in ("search.html", "genindex.html")]
    assert len(pages) > 40
    for path in pages:
        opened.asked.clear()
        opened.open(path.as_uri(), until="What Dagster shows")  # the list of pages at its side
        assert [url for url in opened.asked if not url.startswith(("file://", "data:"))] == [], path
        assert 0 not in opened.run("[...document.images].map(one => one.naturalWidth)"), path
        assert opened.run(WIDE) == 0, path


def test_its_search_finds(opened: Page) -> None:
    """The index is a script beside the pages."""
    (search,) = [path for path in built("html") if path.name == "search.html"]

    opened.open(f"{Path(search).as_uri()}?q=hold_back", until="Fields of the component")
