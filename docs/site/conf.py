"""What Sphinx is told. Sources are the pages that `docs.site.stage` laid out; nothing is fetched, all opens offline."""

import re
from pathlib import Path

_PACKAGE = Path(__file__).parents[2] / "encord_dagster" / "__init__.py"
_found = re.search(r'^__version__ = "(.+)"$', _PACKAGE.read_text("utf-8"), re.MULTILINE)

project = "encord_dagster"
release = _found[1] if _found else ""
extensions = ["myst_parser"]
myst_heading_anchors = 4  # slugs as GitHub makes them: links work in both places
highlight_language = "text"
html_theme = "furo"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_title = f"{project} {release}"
html_copy_source = False
html_show_sphinx = False
html_show_copyright = False
html_use_index = False
