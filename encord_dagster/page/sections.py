"""The parts of the page of one version, each out of its numbers."""

from collections.abc import Mapping, Sequence

import msgspec

from encord_dagster.formats import losses
from encord_dagster.label_set.manifest import ExportEntry
from encord_dagster.label_set.numbers import AttributeSummary, ClassSummary, Summary
from encord_dagster.page.markup import (
    REST,
    Html,
    bar,
    chip,
    code,
    element,
    given,
    ink_of,
    joined,
    none,
    number,
    percent,
    section,
    table,
    text,
)
from encord_dagster.page.sizes import three
from encord_dagster.validation import RULES

CLASSES, ANSWERS, HASHES = 200, 12, 2  # shown: classes, answers of an attribute, hashes of an export
MESSAGE = 300  # letters of a finding


class Came(msgspec.Struct, frozen=True, kw_only=True):
    """Where a version comes from."""

    manifest_digest: str
    seq: int
    op: str
    reason: str
    exports: tuple[ExportEntry, ...]  # the ones that it came with
    count: int  # of them, where not all are given


def head(found: Summary, came: Came) -> Html:
    """What the page is about, and what the version came with."""
    gone = f"The data behind {found.tombstones:,} of the label rows was deleted." if found.tombstones else ""
    lines = [
        [text("content digest"), code(found.content_digest)],
        [text("manifest digest"), code(came.manifest_digest)],
        [text("record"), text(f"{came.seq} ({came.op}){': ' + came.reason if came.reason else ''}", most=600)],
    ]
    more = came.count - len(came.exports)
    rest = [element("p", text(f"{more:,} more exports: why {found.version}"), kind="faint")] if more else []
    return joined(
        [
            element("h1", text(f"{found.name}, version {found.version}")),
            *([element("p", text(gone), kind="faint")] if gone else []),
            _tiles(found),
            table(["", ""], lines),
            element("h3", text("Exports that it came with")),
            table(["export", "exported", "label rows#", "export hashes"], map(_export, came.exports)),
            *rest,
        ],
        "\n",
    )


def _tiles(found: Summary) -> Html:
    counts = {
        "label rows": found.rows,
        "images": found.images.images,
        "annotations": found.annotations,
        "classes with objects": sum(one.objects > 0 for one in found.classes),
        "images without objects": found.images.without_objects,
    }
    tiles = [element("div", element("b", number(count)), text(name), kind="tile") for name, count in counts.items()]
    return element("div", *tiles, kind="tiles")


def _export(one: ExportEntry) -> list[Html]:
    hashes = ", ".join(one.export_hashes[:HASHES]) + (" …" if one.export_hash_count > HASHES else "")
    return [code(one.id), text(one.latest or "no time"), number(one.rows), code(hashes)]


def classes(found: Sequence[ClassSummary]) -> Html:
    """How the objects are spread over the classes, and which shapes they have."""
    longest = max((one.objects for one in found), default=0)
    rows = [
        [
            joined([chip(one.category_id), text(one.name)]),
            bar(one.objects, longest, ink=ink_of(one.category_id)),
            number(one.objects),
            percent(one.share),
            number(one.images),
            shapes_text(one.shapes),
        ]
        for one in found
    ]
    columns = ["class", "objects|", "objects#", "share#", "on images#", "shapes"]
    return section("Classes", table(columns, rows, most=CLASSES, rest=REST) if rows else none())


def shapes_text(shapes: Mapping[str, int]) -> Html:
    """One shape by name, several with how often each occurs."""
    if len(shapes) < 2:
        return text("".join(shapes) or "none")
    return text(", ".join(f"{shape} {count:,}" for shape, count in shapes.items()))


def answers(found: Summary) -> Html:
    """Classifications, and the answers to every attribute. Texts are counted, never shown."""
    given_rows = [[given(one.name), number(one.given)] for one in found.classifications]
    rows = [
        [text(one.of), given(one.owner), text(one.name), _answers_cell(one), number(one.answers)]
        for one in found.attributes
    ]
    return section(
        "Classifications and attributes",
        table(["classification", "given#"], given_rows, rest=REST) if given_rows else none("classifications"),
        table(["of", "class", "attribute", "answers", "all#"], rows, rest=REST) if rows else none("attributes"),
        element("p", text("Text answers are counted; what they say is not in this page."), kind="faint"),
    )


def _answers_cell(one: AttributeSummary) -> Html:
    total = one.answers or 1
    lines = [
        joined([text(name), Html(" "), element("span", number(count), text(f", {count / total:.0%}"), kind="faint")])
        for name, count in list(one.options.items())[:ANSWERS]
    ]
    if len(one.options) > ANSWERS:
        lines.append(element("span", text(f"and {len(one.options) - ANSWERS:,} more options"), kind="faint"))
    if one.texts:
        lines.append(element("span", text(f"{one.texts:,} texts"), kind="faint"))
    if one.numbers.count:
        lines.append(text(f"{one.numbers.count:,} numbers: {three(one.numbers)}"))
    return joined(lines, "<br>")


def findings(found: Summary) -> Html:
    """The rules that fired, what they mean, and where first."""
    meaning = {rule.name: rule.description for rule in RULES}
    rows = [
        [
            element("span", text(one.severity), kind=one.severity),
            element("span", text(one.rule), kind="word"),
            number(one.count),
            joined(
                [
                    text(meaning.get(one.rule, "Not known to this release."), most=MESSAGE),
                    Html("<br>"),
                    element("span", text(one.message, most=MESSAGE), Html(" "), code(one.place), kind="faint"),
                ]
            ),
        ]
        for one in found.rules
    ]
    columns = ["severity", "rule", "found#", "what it means, and the first place"]
    return section("Findings", table(columns, rows) if rows else none("findings"))


def losses_of(counts: Mapping[str, int]) -> Html:
    """What the formats cannot hold."""
    rows = [
        [element("span", text(one.code), kind="word"), number(one.count), text(one.description, most=MESSAGE)]
        for one in losses.reported(counts)
    ]
    return section("Losses", table(["code", "count#", "what it means"], rows) if rows else none("losses"))
