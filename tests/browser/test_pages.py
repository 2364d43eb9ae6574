"""What a person sees on Dagster's pages: opened in a real browser, over a label set of some weeks."""

import io
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from encord_dagster.validation import RULES
from tests.browser import chromium
from tests.browser.chromium import Page
from tests.browser.lake import WEEKS, Site, site
from tests.orchestration.hostile_names import NAMES
from tests.orchestration.test_definitions import GRAPH

pytestmark = pytest.mark.browser

# Where to put the pictures of the documentation; without it they are looked at and thrown away.
PICTURES = os.environ.get("BROWSER_PICTURES")
LARGEST = 150_000  # bytes of one picture
LOADED = "[...document.images].filter(one => one.src.startsWith('data:')).map(one => one.naturalWidth)"
LINKS = "[...document.querySelectorAll('a')].map(one => one.href)"
SOURCES = "[...document.images].map(one => one.src)"


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The server."""
    if chromium.installed() is None:
        pytest.skip("there is no Chromium: apt-get install chromium; `make browser` insists on it")
    with site(tmp_path_factory.mktemp("site") / "site") as made:
        yield made


@pytest.fixture(scope="module")
def opened(pages: Site) -> Iterator[Page]:
    """A browser, which takes a while to start."""
    with chromium.browser() as page:
        yield page


@pytest.fixture
def page(opened: Page) -> Page:
    """A window that is empty again, and has asked for nothing yet."""
    opened.resize(1280, 900)
    opened.open("about:blank", until="")
    opened.asked.clear()
    return opened


def keep(page: Page, folder: Path, name: str) -> None:
    """Take a picture, which must not be of one colour, and put it into the documentation where that is asked for."""
    shown = Image.open(page.settled(folder / f"{name}.png")).convert("RGB")
    small = shown.quantize(256, kmeans=1, dither=Image.Dither.NONE)
    buffer = io.BytesIO()
    small.save(buffer, "PNG", optimize=True)
    assert len(small.getcolors() or ()) > 8
    assert len(buffer.getvalue()) < LARGEST
    if PICTURES:
        (Path(PICTURES) / f"{name}.png").write_bytes(buffer.getvalue())


def test_the_catalogue_lists_the_assets_with_what_they_hold(pages: Site, page: Page) -> None:
    """Name, description, group, and how many of the partitions are good."""
    page.resize(1280, 640)

    page.open(f"{pages.url}/assets", until="street / label_set")

    page.wait_for(f"{len(pages.keys['street'])} partitions", "COCO records of the export's label rows.", "Materialized")


def test_the_newest_version_shows_labels_changes_classes_and_lineage(pages: Site, page: Page, tmp_path: Path) -> None:
    """At once, without a click."""
    page.resize(1280, 1480)

    page.open(f"{pages.url}/assets/street/label_set_latest?view=overview", until="encord/lineage")

    page.wait_for(f"Label rows since version {WEEKS - 1}:", "2 added, 3 changed, 0 removed", "Lane marking")
    page.wait_for("perception", "encord/label_set: street", "domain: driving", "Fails if more than 24 hours")
    page.wait_for("build_label_set_definitions")  # a link to the line of the project that asked for the label set
    assert page.run(LOADED) != []
    assert min(page.run(LOADED)) >= 48
    keep(page, tmp_path, "dagster-newest-version")


def test_chart_and_more_labels_are_behind_a_click(pages: Site, page: Page, tmp_path: Path) -> None:
    """Drawn by the browser, out of the text alone."""
    page.resize(1280, 760)
    page.open(f"{pages.url}/assets/street/label_set_latest?view=overview", until="encord/preview")
    page.wait_for("Label rows since version")
    before = len(page.run(LOADED))

    page.click("[Show Markdown]")
    page.wait_for("Copy")

    widths = page.run(LOADED)
    assert len(widths) == before + 2
    assert max(widths) > 300
    keep(page, tmp_path, "dagster-preview")


def test_partitions_tell_good_exports_from_bad_ones(pages: Site, page: Page, tmp_path: Path) -> None:
    """And an export leads to the version that it came with."""
    page.resize(1280, 1100)
    here = f"{pages.url}/assets/street/label_set?view=partitions"

    page.open(f"{here}&partition={pages.keys['street'][-1]}", until="encord/labels")

    page.wait_for(
        "Failed (3)", f"Materialized ({WEEKS})", "encord/export_hashes", f"Label rows since version {WEEKS - 1}:"
    )
    keep(page, tmp_path, "dagster-partitions")


def test_a_training_set_shows_its_splits_and_classes(pages: Site, page: Page, tmp_path: Path) -> None:
    """What stayed where it was, how far each class is from its share, and where the files are."""
    page.resize(1560, 1240)

    page.open(f"{pages.url}/assets/street/training/detector?view=overview", until="encord/splits")

    page.wait_for("of them kept", "train", "60%", "Lane marking", "encord/written", "encord/splits_from")
    page.wait_for("yolo_detect, coco", "perception", f"memory://training/street/detector/00000{WEEKS}-")
    keep(page, tmp_path, "dagster-training-set")


def test_every_rule_is_a_check_that_says_what_it_means(pages: Site, page: Page, tmp_path: Path) -> None:
    """With its severity, and where to look first when it fires."""
    rule = next(rule for rule in RULES if rule.name == "unlabelled_frame")
    page.resize(1280, 800)

    page.open(f"{pages.url}/assets/street/label_set_latest?view=checks&checkDetail={rule.name}", until="Passed")

    page.wait_for(
        f"Checks ({len(RULES)})", f"{rule.description} ({rule.severity})", "encord/first_at", "encord/look_in"
    )
    keep(page, tmp_path, "dagster-checks")


def test_the_lineage_is_the_graph(pages: Site, page: Page, tmp_path: Path) -> None:
    """All assets of one label set, in one picture."""
    page.resize(1720, 760)

    page.open(f"{pages.url}/locations/labels.py/asset-groups/street", until="label_set_latest")

    page.wait_for(*GRAPH)
    keep(page, tmp_path, "dagster-lineage")


def test_a_red_run_names_its_bad_exports(pages: Site, page: Page) -> None:
    """The others are published."""
    page.open(f"{pages.url}/runs/{pages.red_run}", until="3 of 4 exports could not be used")


def test_runs_are_found_by_the_version_that_they_made(pages: Site, page: Page) -> None:
    """And by label set: whoever looks at a version wants its run."""
    page.open(f"{pages.url}/runs?q[]=tag%3Aencord%2Fversion%3D2", until=pages.red_run[:8])

    assert page.text().count("street_ingest") == 1


def test_names_of_classes_are_text_on_every_page(pages: Site, page: Page) -> None:
    """No link, no picture, no script comes of them, and the page asks no other server for anything."""
    name = NAMES[0]
    for view, shows in (
        ("label_set_latest?view=overview", name),
        ("label_set_latest?view=events", name),
        ("label_set?view=events", name),
        ("coco?view=events", name),
        ("label_rows?view=events", "encord/findings"),
        ("raw_export?view=checks&checkDetail=usable", name),
    ):
        page.open(f"{pages.url}/assets/unruly/{view}", until=shows)

        assert [link for link in page.run(LINKS) if "evil" in link or "alert(" in link] == [], view
        assert [source for source in page.run(SOURCES) if "evil" in source] == [], view
    assert [url for url in page.asked if not url.startswith((pages.url, "data:", "blob:"))] == []
