"""HTML and SVG out of values. Whatever text comes in is shown as text: nothing of it is markup, link or picture."""

import base64
from collections.abc import Iterable, Sequence
from html import escape
from typing import NewType

from encord_dagster.formats.palette import colour

Html = NewType("Html", str)  # made here; any other text is escaped on its way in

LETTERS = 80
MORE = "…"
REST = "; the command's --json has all of them"
BAR_WIDE, BAR_HIGH = 220, 12
HISTOGRAM_WIDE, HISTOGRAM_HIGH = 210, 54

# The browser asks nobody for anything and runs nothing, whatever stands in the page.
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
STYLE = """
:root { color-scheme: light; --ink: #1c1d20; --faint: #6b7079; --rule: #e2e4e9; --bar: #4a7fd6; --was: #a4a9b3 }
body { font: 14px/1.45 system-ui, sans-serif; color: var(--ink); max-width: 1120px;
  margin: 0 auto; padding: 24px 32px }
h1 { font-size: 24px; margin: 0 0 4px } h2 { font-size: 17px; margin: 34px 0 8px }
h3 { font-size: 14px; margin: 18px 0 6px }
p { margin: 6px 0; max-width: 80ch } .faint, th, figcaption { color: var(--faint) }
table { border-collapse: collapse; margin: 8px 0 } th { font-weight: 500; text-align: left; white-space: nowrap }
th, td { padding: 3px 18px 3px 0; vertical-align: top; border-bottom: 1px solid var(--rule); unicode-bidi: isolate }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap }
td.t { overflow-wrap: anywhere } code { font: 12px ui-monospace, monospace; overflow-wrap: anywhere }
.tiles { display: flex; flex-wrap: wrap; gap: 10px; margin: 16px 0 }
.tile { border: 1px solid var(--rule); border-radius: 6px; padding: 8px 16px 6px }
.tile b { display: block; font-size: 20px; font-weight: 600; font-variant-numeric: tabular-nums }
.figures { display: flex; flex-wrap: wrap; gap: 16px } figure { margin: 0 }
figcaption { font-size: 12px; max-width: 340px; overflow-wrap: anywhere }
figure img { display: block; border-radius: 4px; max-width: 100% } .pair { display: flex; gap: 6px }
.chip { display: inline-block; width: 10px; height: 10px; border-radius: 2px; margin-right: 6px }
figure:has(.pair) figcaption { max-width: none } .word { white-space: nowrap }
.legend > span { margin-right: 14px; white-space: nowrap; unicode-bidi: isolate; color: var(--ink) }
.error { color: #b3261e } .warning { color: #9a6700 } .info { color: var(--faint) }
svg { display: block } svg text { font: 10px system-ui, sans-serif; fill: var(--faint) }
@media print { h2 { break-after: avoid } figure, tr { break-inside: avoid } }
"""


def text(value: object, *, most: int = LETTERS) -> Html:
    """Any value as text: on one line, cut where it is long, without what turns the direction of writing."""
    given = str(value)
    shown = "".join(letter if letter.isprintable() else " " for letter in given[: most + 1])
    return Html(escape(shown if len(shown) <= most else shown[: most - 1] + MORE))


def number(value: float) -> Html:
    """With thousands apart; whole where that is all it is."""
    return Html(f"{value:,.0f}" if value == int(value) or abs(value) >= 100 else f"{value:,.1f}")


def percent(share: float) -> Html:
    """A share; a small one is not shown as none."""
    return Html("&lt;0.1 %" if 0 < share < 0.0005 else f"{100 * share:.1f} %")


def code(value: object) -> Html:
    """A hash or a path."""
    return Html(f"<code>{text(value, most=200)}</code>")


def joined(parts: Iterable[Html], between: str = "") -> Html:
    """One after the other."""
    return Html(between.join(parts))


def element(tag: str, *inner: Html, kind: str = "") -> Html:
    """An element; `tag` and `kind` are words of this program."""
    named = f' class="{kind}"' if kind else ""
    return Html(f"<{tag}{named}>{''.join(inner)}</{tag}>")


def chip(category_id: int) -> Html:
    """The colour of a class."""
    red, green, blue = colour(category_id)
    return Html(f'<span class="chip" style="background:#{red:02x}{green:02x}{blue:02x}"></span>')


def table(columns: Sequence[str], rows: Iterable[Sequence[Html]], *, most: int = 200, rest: str = "") -> Html:
    """A table of at most so many rows. A column whose head ends in `#` holds numbers, `|` a drawing."""
    kinds = ["n" if head.endswith("#") else "" if head.endswith("|") else "t" for head in columns]
    heads = joined(element("th", text(head.rstrip("#|")), kind=kind) for head, kind in zip(columns, kinds, strict=True))
    held = list(rows)
    lines = [
        element("tr", *(element("td", cell, kind=kind) for cell, kind in zip(row, kinds, strict=True)))
        for row in held[:most]
    ]
    more = (
        Html(f'<p class="faint">{MORE} and {len(held) - most:,} more{text(rest)}</p>') if len(held) > most else Html("")
    )
    return joined([element("table", element("tr", heads), *lines), more], "\n")


def bar(value: float, longest: float, *, ink: str = "var(--bar)", was: float | None = None) -> Html:
    """A bar as long as its value, and under it a grey one for before."""
    now, before = (BAR_WIDE * (one or 0) / longest if longest else 0.0 for one in (value, was))
    grey = "" if was is None else f'<rect y="9" width="{before:.1f}" height="4" rx="1" fill="var(--was)"/>'
    high = BAR_HIGH if was is None else BAR_HIGH - 4
    return Html(
        f'<svg width="{BAR_WIDE}" height="18" role="img"><g transform="translate(0 4)">'
        f'<rect width="{now:.1f}" height="{high}" rx="2" fill="{ink}"/>{grey}</g></svg>'
    )


def ink_of(category_id: int) -> str:
    """The colour of a class, for a bar."""
    return "#{:02x}{:02x}{:02x}".format(*colour(category_id))


def histogram(counts: Sequence[int], labels: Sequence[str], *, ink: str = "var(--bar)", unit: str = "px") -> Html:
    """Bars side by side, the first and the last bin named below; each says what it counts when pointed at."""
    tallest, wide = max(counts, default=0) or 1, HISTOGRAM_WIDE / max(1, len(counts))
    bars = "".join(
        f'<rect x="{place * wide:.1f}" y="{HISTOGRAM_HIGH - high:.1f}" width="{max(1.0, wide - 1):.1f}" '
        f'height="{high:.1f}" fill="{ink}"><title>{escape(labels[place])} {unit}: {count:,}</title></rect>'
        for place, count in enumerate(counts)
        for high in [max(1.5, HISTOGRAM_HIGH * count / tallest) if count else 0.0]
        if count
    )
    line = f'<path d="M0 {HISTOGRAM_HIGH + 0.5}H{HISTOGRAM_WIDE}" stroke="var(--rule)"/>'
    ends = (
        f'<text x="0" y="{HISTOGRAM_HIGH + 12}">{escape(labels[0])}</text>'
        f'<text x="{HISTOGRAM_WIDE}" y="{HISTOGRAM_HIGH + 12}" text-anchor="end">{escape(labels[-1])} {unit}</text>'
        if counts
        else ""
    )
    return Html(f'<svg width="{HISTOGRAM_WIDE}" height="{HISTOGRAM_HIGH + 16}" role="img">{bars}{line}{ends}</svg>')


def picture(png: bytes, what: str) -> Html:
    """A picture that lies in the page itself."""
    return Html(f'<img alt="{escape(what)}" src="data:image/png;base64,{base64.b64encode(png).decode()}">')


def given(name: str) -> Html:
    """A value, or that there is none."""
    return text(name) if name else element("span", text("not given"), kind="faint")


def section(title: str, *parts: Html) -> Html:
    """A part of the page under its name."""
    return joined([element("section", element("h2", text(title)), *parts)])


def none(what: str = "objects") -> Html:
    """That there is nothing to show."""
    return element("p", text(f"There are no {what}."), kind="faint")


def document(title: str, sections: Iterable[Html]) -> str:
    """The whole page."""
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{text(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n"
        + "\n".join(sections)
        + "\n</body>\n</html>\n"
    )
