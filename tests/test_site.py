"""The site is made of the code, and its pages open offline. What looks at built pages needs `make docs`."""

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest

from docs.site import reference, stage
from encord_dagster.formats.catalogue import FORMATS
from encord_dagster.orchestration.choices import LabelSetOptions
from encord_dagster.validation import RULES

ROOT = Path(__file__).parents[1]
SITE = ROOT / ".make" / "site"
FETCHED = {  # attributes whose address a browser goes to by itself; for links, if they are of these kinds
    *(("script", "src"), ("img", "src"), ("img", "srcset"), ("iframe", "src"), ("embed", "src"), ("object", "data")),
    *(
        ("source", "src"),
        ("source", "srcset"),
        ("video", "src"),
        ("video", "poster"),
        ("audio", "src"),
        ("track", "src"),
    ),
    *(("input", "src"), ("link", "href"), ("image", "href"), ("use", "href"), ("form", "action")),
}
HARMLESS = {"index", "search", "next", "prev", "canonical"}  # kinds of link that nothing fetches
REMOTE = re.compile(r"^\s*(https?:)?//", re.IGNORECASE)
IN_STYLE = re.compile(r"(?:url\(\s*['\"]?|@import\s+['\"])\s*((?:https?:)?//[^'\")\s]+)", re.IGNORECASE)


class Fetching(HTMLParser):
    """Collects what a page would fetch from elsewhere."""

    def __init__(self) -> None:
        super().__init__()
        self.remote: list[str] = []
        self._in_style = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Look at an element's addresses."""
        self._in_style = tag == "style"
        given = dict(attrs)
        harmless = tag == "link" and set((given.get("rel") or "").split()) <= HARMLESS
        for name, value in attrs:
            if (tag, name) in FETCHED and not harmless and any(map(REMOTE.match, (value or "").split(","))):
                self.remote.append(f"{tag} {name}={value}")
            if name == "style":
                self.remote += IN_STYLE.findall(value or "")
            if (tag, name) == ("meta", "content") and given.get("http-equiv", "") == "refresh":
                self.remote.append(f"refresh {value}")

    def handle_data(self, data: str) -> None:
        """Look at a style sheet in the page."""
        if self._in_style:
            self.remote += IN_STYLE.findall(data)


def fetched(html: str) -> list[str]:
    """What a page would fetch from elsewhere."""
    parser = Fetching()
    parser.feed(html)
    return parser.remote


def built(kind: str) -> Iterator[Path]:
    """Files of the built site."""
    if not (SITE / "index.html").exists():
        pytest.skip("the site is not built: make docs")
    return SITE.rglob(f"*.{kind}")


def test_no_page_fetches_anything_from_elsewhere() -> None:
    """Scripts, styles, fonts and images lie beside the pages, so that the site opens offline and tells nobody."""
    found = {path.name: remote for path in built("html") if (remote := fetched(path.read_text("utf-8")))}

    assert found == {}
    assert {path.name: IN_STYLE.findall(path.read_text("utf-8")) for path in built("css")} == {
        path.name: [] for path in built("css")
    }


@pytest.mark.parametrize(
    "html",
    [
        '<script src="https://cdn.example.com/a.js"></script>',
        '<link rel="stylesheet" href="//fonts.example.com/css">',
        '<link rel="preconnect" href="https://fonts.example.com">',
        '<img alt="" src="http://example.com/pixel.gif">',
        '<img alt="" src="a.png" srcset="a.png 1x, https://example.com/b.png 2x">',
        "<style>@font-face { src: url(https://example.com/font.woff2) }</style>",
        "<p style=\"background: url('http://example.com/a.png')\">",
    ],
)
def test_a_page_that_would_is_found(html: str) -> None:
    """The test before this one can fail."""
    assert fetched(f"<html><body>{html}</body></html>")


def test_links_to_elsewhere_are_let_be() -> None:
    """A reader follows them, or not."""
    assert fetched('<a href="https://example.com">there</a><img src="here.png"><link rel="icon" href="icon.svg">') == []


def test_every_page_is_in_the_site() -> None:
    """What somebody writes in docs/ is built, and leads somewhere from the start page."""
    (pages,) = (set(stage.places().values()),)

    start = (ROOT / "docs" / "index.md").read_text("utf-8")

    listed = {place for source, place in stage.places().items() if f"({source.removeprefix('docs/')})" in start}
    listed |= {place for source, place in stage.places().items() if f"(../{source})" in start}
    others = {place for place in pages - listed if place.endswith(".md") and not place.startswith("decisions/")}
    assert others == {stage.INDEX}


def test_links_are_set_right() -> None:
    """Pages move, anchors stay; what the site does not hold is text, what is not there is refused, code is left."""
    where = stage.places()
    text = "[a](docs/formats.md#masks), ![b](docs/pictures/overlay.png), [c](examples), `[d](docs/scale.md)`, [e](#f)"

    moved = stage.with_links(text, "README.md", where)

    assert moved == "[a](formats.md#masks), ![b](pictures/overlay.png), c, `[d](docs/scale.md)`, [e](#f)"
    assert stage.with_links("[g](../README.md)", "docs/scale.md", where) == "[g](readme.md)"
    assert stage.with_links(
        "[h](../scale.md)", "docs/decisions/0001-x.md", where | {"docs/decisions/0001-x.md": "decisions/x.md"}
    ) == ("[h](../scale.md)")
    with pytest.raises(stage.BrokenLink):
        stage.with_links("[i](nowhere.md)", "README.md", where)


def test_the_reference_holds_all_of_the_code() -> None:
    """Every field, command, option, public name, rule and format; and no placeholder of a library's."""
    pages = reference.pages()
    text = {name: page.text for name, page in pages.items()}

    assert all(f"| `{field}` |" in text["component"] for field in LabelSetOptions.model_fields)
    assert "UNSET" not in text["component"]
    for row in (
        "| `landing` | text | required |",
        "| `hold_back` | list of `class_vanished` or `annotations_dropped` or `class_share_shifted` | `class_",
        "| `severities` | name: `info` or `warning` or `error` |  |",
        "| `running` | `true` or `false` | `false` |",
        "| `s3` | [fields](#s3) |  |",
        "| `annotations_dropped` | number from 0 to 1 | `0.2` |",
    ):
        assert row in text["component"]
    assert all(f"| `{rule.name}` | {rule.severity} |" in text["rules"] for rule in RULES)
    assert all(f"## {name}\n" in text["formats"] for name in FORMATS)
    for name in ("EncordLabelSetComponent", "build_label_set_definitions", "open_label_set", "LabelSet", "Version"):
        assert f"## {name}\n" in text["python"]
    assert "def checkout(" in text["python"]
    assert "resolve_from_model" not in text["python"]  # Dagster's business
    for name, parser in reference.commands().items():
        section = text["command-line"].partition(f"## {name}\n")[2].partition("\n## ")[0]
        assert all(
            f"`{option}`" in section for option in parser._option_string_actions if option not in ("-h", "--help")
        )
