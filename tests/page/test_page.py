"""The page of a version: right, the same each time, of text that means nothing to a browser, and asking nobody."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from encord_dagster.cli import main
from encord_dagster.errors import UsageError
from encord_dagster.label_set import manifest
from encord_dagster.label_set.read import open_label_set
from encord_dagster.page.markup import POLICY, histogram, percent, text
from encord_dagster.page.write import page
from encord_dagster.samples import bad_row, canaries
from tests import factories as make
from tests.golden import make as golden
from tests.label_set.test_beside import Counting, two_versions
from tests.label_set.test_golden import LAKES, unpacked
from tests.lakes import DAY, Desk, images_export, project_export
from tests.orchestration.hostile_names import NAMES

ELEMENTS = """
    html head meta title style body section div h1 h2 h3 p table tr th td span b br code svg g rect text path figure
    figcaption img
"""
WORDS = """
    lang charset http-equiv name content class style width height role transform rx y x fill d stroke text-anchor alt
    src
"""


class Seen(HTMLParser):
    """What a browser would make of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.sources: list[str] = []
        self.styles: set[str] = set()
        self.texts: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self.sources += [value or "" for name, value in attrs if name == "src"]
        self.styles |= {value or "" for name, value in attrs if name == "style"}

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def hostile_desk() -> Desk:
    """Names of classes, attributes, options and classifications that would be more than names, in two versions."""
    desk = Desk()
    for place in (1, 2):
        rows = [
            make.image_row(
                make.box(object_hash=f"object{number:02}", name=name, featureHash=f"Hostil{number:02}", value=name),
                label_hash=f"label-{number}",
                object_answers=_answered(f"object{number:02}", name),
                label_status=name,
                export_hash=f"export-{place}",
                exported_at=f"Mon, {20 + place} Jul 2024 09:20:25 UTC",
            )
            for number, name in enumerate(NAMES[: len(NAMES) - 2 + place])
        ]
        desk.bring(f"{place}.json", make.encode(rows))
    return desk


def _answered(object_hash: str, name: str) -> make.Json:
    given = make.answer([make.option(name, f"Option{object_hash[-2:]}")], name=name)
    return {object_hash: {"objectHash": object_hash, "classifications": [given]}}


def test_the_page_says_what_the_tables_say() -> None:
    """Counts of classes, with their shares; digests and the exports."""
    label_set = two_versions(Desk(), project_export(20), changed=3).label_set()
    version = label_set.version()

    shown, found = page(label_set)

    texts = Seen(shown).texts
    for one in found.classes:
        at = texts.index(one.name)
        assert {f"{one.objects:,}", f"{100 * one.share:.1f} %"} <= set(texts[at : at + 4])
    assert {version.root.content_digest, version.root_digest, f"{version.images:,}"} <= set(texts)
    assert {entry.id for entry in version.record.exports} <= set(texts)
    assert {one.rule for one in found.rules} <= set(texts)
    assert set(found.losses) <= set(texts)
    assert [line for line in texts if line.endswith("…") and not re.fullmatch(r"[0-9a-f, -]+…", line)] == []  # hashes


def test_bars_of_sizes_count_every_object() -> None:
    """Also those of less than a pixel, of each class that has a size."""
    desk = Desk()
    boxes = [make.box(w=w, h=0.25, object_hash=f"object{place:02}") for place, w in enumerate((0.0004, 0.002, 0.125))]
    desk.bring("one.json", make.encode([make.image_row(*boxes, make.point())]))
    part = page(desk.label_set())[0].partition("Sizes of objects")[2].partition("</section>")[0]

    rows = [row.split("</td>")[:4] for row in part.split("</tr>")[1:-1]]

    counts = [[sum(map(int, re.findall(r"(\d+)</title>", cell))) for cell in row[1:]] for row in rows]
    assert counts == [[3, 3, 3], [0, 0, 0]]
    assert "&lt;1 px: 1</title>" in part


def test_the_same_version_gives_the_same_bytes() -> None:
    """However often, and but for the times of delivery from whatever lake it is read."""
    first, again = (two_versions(Desk(), project_export(12), changed=2).label_set() for _ in range(2))

    assert page(first, 2, 1)[0] == page(first, 2, 1)[0]
    assert re.sub(r"\d{8}T\d{6}Z-\w{12}", "", page(first, 2)[0]) == re.sub(
        r"\d{8}T\d{6}Z-\w{12}", "", page(again, 2)[0]
    )


def test_names_that_would_be_more_are_text() -> None:
    """No link, no script and no picture but those drawn here."""
    label_set = hostile_desk().label_set()

    shown, found = page(label_set, 2, 1)

    seen = Seen(shown)
    assert seen.tags <= set(ELEMENTS.split())
    assert seen.attributes <= set(WORDS.split())
    assert [source for source in seen.sources if not source.startswith("data:image/png;base64,")] == []
    assert all(re.fullmatch(r"background:#[0-9a-f]{6}", style) for style in seen.styles)
    assert len(seen.sources) > 0
    wanted = {"".join(letter if letter.isprintable() else " " for letter in one.name) for one in found.classes}
    assert wanted <= set(seen.texts)
    assert {one.name for one in found.attributes if one.options} <= {one.name for one in found.classes}
    assert len(found.attributes) == len(found.classes) == len(NAMES)
    assert "<script>alert(1)</script>" not in shown
    assert "\u202e" not in shown
    assert POLICY in shown


def test_no_personal_data_and_no_text_answer_is_in_it() -> None:
    """Of people, places and patients of the samples nothing; of what annotators wrote no word."""
    desk = two_versions(Desk(), project_export(20), changed=3)
    desk.bring("bad.json", bad_row(seed=3, exported_at=DAY))
    label_set = desk.label_set()
    frame = label_set.version().frame("attributes")

    shown = "\n".join(Seen(page(label_set, "latest", 1)[0]).texts)

    written = set(frame["text"].dropna()) - set(frame["options"].dropna().explode())
    assert len(written) > 3
    assert [word for word in {*written, *canaries()} if word in shown] == []


def test_what_changed_is_shown() -> None:
    """Rows, classes before and after, and images before and after side by side."""
    label_set = two_versions(Desk(), project_export(20), changed=3, added=2, deleted=1).label_set()

    alone, both = page(label_set)[0], page(label_set, "latest", 1)[0]

    assert "From version 1 to version 2" not in alone
    texts = " ".join(Seen(both).texts)
    assert "From version 1 to version 2" in texts
    assert "Label rows: 2 added, 4 changed." in texts
    assert 'alt="labels before"' in both
    assert both.count('alt="labels before"') <= 4
    before, after = re.search(r'alt="labels before" src="([^"]+)"><img alt="labels" src="([^"]+)"', both).groups()  # type: ignore[union-attr]
    assert before != after


def test_a_version_against_itself_does_not_differ() -> None:
    """And says so."""
    label_set = two_versions(Desk(), images_export(6), changed=1).label_set()

    assert "There are no differences." in Seen(page(label_set, 2, 2)[0]).texts


def test_only_buckets_that_differ_are_read_for_the_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the others no shard is read more than for the page alone."""
    monkeypatch.setattr(manifest, "ROWS_PER_BUCKET", 2)
    lake = Counting()
    label_set = two_versions(Desk(lake), images_export(40), changed=1).label_set()
    old, new = ({ref.key for bucket in label_set.version(n).buckets() for ref in bucket.refs} for n in (1, 2))
    lake.keys.clear()
    page(label_set, 2)
    alone = sorted(lake.keys)
    lake.keys.clear()

    page(label_set, 2, 1)

    more = list(lake.keys)
    for key in alone:
        more.remove(key)
    same = [key for key in more if key in old & new]
    assert len(list(label_set.version().buckets())) > 10
    assert len(same) <= 8 < len(old & new)
    assert set(more) & (old - new) != set()


@pytest.mark.parametrize("name", LAKES)
def test_lakes_of_every_release_have_a_page(name: str, tmp_path: Path) -> None:
    """With pictures, also of what changed."""
    label_set = open_label_set(unpacked(name, tmp_path), golden.NAME)

    shown, _ = page(label_set, 2, 1)

    assert "From version 1 to version 2" in shown
    assert shown.count("data:image/png") >= 1


def test_a_version_without_objects_has_a_page() -> None:
    """That says so."""
    desk = Desk()
    desk.bring("one.json", make.encode([make.image_row()]))

    shown, _ = page(desk.label_set())

    assert {"There are no objects.", "There are no images that can be drawn."} <= set(Seen(shown).texts)


def test_a_version_that_is_not_there_is_named() -> None:
    """Before anything is written."""
    label_set = two_versions(Desk(), images_export(4), changed=1).label_set()

    with pytest.raises(UsageError, match="7"):
        page(label_set, 2, 7)


def test_the_command_writes_the_page_and_prints_the_numbers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As JSON where that is asked for; a folder that is not there is an error of storage."""
    (tmp_path / "one.json").write_bytes(images_export(4))
    options = ["--lake", str(tmp_path / "lake"), "--name", "street"]
    assert main(["ingest", "-q", str(tmp_path / "one.json"), *options]) == 0
    file = tmp_path / "street.html"
    capsys.readouterr()

    assert main(["report", "1", "-o", str(file), *options]) == 0
    assert str(file) in capsys.readouterr().out
    assert main(["report", "-o", str(file), "--json", *options]) == 0

    assert json.loads(capsys.readouterr().out)["images"]["images"] == 4
    assert file.read_text("utf-8") == page(open_label_set(str(tmp_path / "lake"), "street"))[0]
    assert main(["report", "1", "-o", str(tmp_path / "none" / "street.html"), *options]) == 3
    assert main(["report", "1", "-o", str(file), "--against", "9", *options]) == 2


def test_texts_are_cut_and_shares_are_never_rounded_to_none() -> None:
    """A long one ends in dots; one in ten thousand is more than nothing."""
    assert text("a" * 200) == "a" * 79 + "…"
    assert text("a\nb\u202e<") == "a b &lt;"
    assert (percent(0.0001), percent(0.5), percent(0.0)) == ("&lt;0.1 %", "50.0 %", "0.0 %")
    assert histogram([], []).count("rect") == 0
