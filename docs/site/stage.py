"""Lays out the pages of the site for Sphinx: those of the repository with their links set right, and the reference.

`python -m docs.site.stage FOLDER`, as `make docs` calls it.
"""

import os
import posixpath
import re
import shutil
import sys
from pathlib import Path

from docs.site import reference

ROOT = Path(__file__).parents[2]
INDEX = "index.md"
DECISIONS = "decisions/index.md"
_LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)\s]+)\)")
_FENCED = re.compile(r"^( *)```.*?^\1```$|`[^`\n]+`", re.MULTILINE | re.DOTALL)
_SECTION = re.compile(r"^## (.+)\n((?:(?!## ).*\n)*)", re.MULTILINE)


class BrokenLink(Exception):
    """A page names a file that there is not."""


def places() -> dict[str, str]:
    """Where each page of the repository lies in the site, and where each picture does."""
    found = {"README.md": "readme.md", "CHANGELOG.md": "changelog.md", "deploy/README.md": "deploy.md"}
    kept = [*(ROOT / "docs").rglob("*.md"), *(ROOT / "docs" / "pictures").iterdir()]
    found |= {path.relative_to(ROOT).as_posix(): path.relative_to(ROOT / "docs").as_posix() for path in kept}
    return found


def with_links(text: str, page: str, where: dict[str, str]) -> str:
    """A page's text with links from its place in the site; what the site does not hold becomes plain text."""
    folder = posixpath.dirname(page)

    def moved(link: re.Match[str]) -> str:
        image, shown, target = link.groups()
        path, hash_, anchor = target.partition("#")
        if "://" in target or not path:
            return link[0]
        meant = posixpath.normpath(posixpath.join(folder, path))
        place = DECISIONS if meant == "docs/decisions" else where.get(meant)
        if place:
            return f"{image}[{shown}]({posixpath.relpath(place, posixpath.dirname(where[page]))}{hash_}{anchor})"
        if not (ROOT / meant).exists():
            raise BrokenLink(f"{page}: there is no {meant}, to which it links as {target}")
        return shown

    parts, at = [], 0
    for code in _FENCED.finditer(text):
        parts += [text[at : code.start()], code[0]]
        at = code.end()
    outside = [_LINK.sub(moved, part) if number % 2 == 0 else part for number, part in enumerate([*parts, text[at:]])]
    return "".join(outside)


def contents(index: str) -> str:
    """The lists of the start page once more, as the site's navigation."""
    trees = []
    for title, body in _SECTION.findall(index):
        entries = [f"{shown} <{target.removesuffix('.md')}>" for _, shown, target in _LINK.findall(body)]
        trees.append("\n".join(["```{toctree}", ":hidden:", f":caption: {title}", "", *entries, "```"]))
    return "\n\n".join(trees) + "\n"


def decisions(where: dict[str, str]) -> str:
    """The list of decisions."""
    names = sorted(posixpath.basename(place) for place in where.values() if place.startswith("decisions/0"))
    titles = {name: (ROOT / "docs" / "decisions" / name).read_text("utf-8").partition("\n")[0][2:] for name in names}
    listed = "\n".join(f"- [{title}]({name})" for name, title in titles.items())
    tree = "\n".join(["```{toctree}", ":hidden:", "", *(name.removesuffix(".md") for name in names), "```"])
    return f"# Decisions\n\nWhy things are as they are.\n\n{listed}\n\n{tree}\n"


def start_page(text: str, generated: dict[str, reference.Page]) -> str:
    """The start page, with the pages of the reference that only the site has."""
    listed = "".join(f"- [{page.title}](reference/{name}.md): {page.about}\n" for name, page in generated.items())
    before, heading, after = text.partition("## Reference\n")
    text = f"{before}{heading}\n{listed}\n## {after.partition('## ')[2]}"
    return f"{text}\n{contents(text)}"


def stage(folder: Path) -> None:
    """Write all pages and pictures into an empty folder."""
    where, generated = places(), reference.pages()
    made = {f"reference/{name}.md": page.text for name, page in generated.items()} | {DECISIONS: decisions(where)}
    for source, place in where.items():
        if source.endswith(".md"):
            text = with_links((ROOT / source).read_text("utf-8"), source, where)
            made[place] = start_page(text, generated) if place == INDEX else text
        else:
            (folder / place).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / source, folder / place)
    for place, text in made.items():
        (folder / place).parent.mkdir(parents=True, exist_ok=True)
        (folder / place).write_text(text, "utf-8")


if __name__ == "__main__":
    os.environ["COLUMNS"] = "110"  # of the usage that argparse writes
    stage(Path(sys.argv[1]))
