"""The documentation site: ``make docs``. Pages are written for readers of the files, and become a site as they are."""

import os
import re
import sys
from pathlib import Path

DOCS = Path(__file__).resolve().parent
ROOT = DOCS.parent
sys.path.insert(0, str(ROOT / "src"))

from weakseg.version import __version__  # noqa: E402

project, author, release = "weakseg", "The weakseg authors", __version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
html_theme, html_title = "furo", f"weakseg {__version__}"
myst_heading_anchors = 3
napoleon_custom_sections = ["Reference", "Differs from the paper"]
autodoc_member_order, autodoc_typehints = "bysource", "signature"
exclude_patterns = ["references.bib"]
suppress_warnings = ["misc.highlighting_failure"]  # pieces of JSON and YAML with dots in them

LINK = re.compile(r"(?<!!)\[([^\]]*)\]\(([^)#\s]*)(#[^)\s]*)?\)")
INCLUDE = re.compile(r"^```\{include\} (\S+)\n```$", re.MULTILINE)
METHOD = re.compile(r"src/weakseg/methods/(\w+)/README\.md")


def as_on_site(text: str, folder: Path, page: Path) -> str:
    """Return a page whose links lead to pages of the site; of other files of the repository names alone are left.

    Args:
        text: Markdown.
        folder: That its links start from.
        page: Folder of the page that it becomes.
    """

    def replaced(link: re.Match[str]) -> str:
        words, target, anchor = link[1], link[2], link[3] or ""
        if not target or "://" in target or target.startswith("mailto:"):
            return link[0]
        found = (folder / target).resolve()
        if not found.exists() or not found.is_relative_to(ROOT):
            return link[0]  # Sphinx says that it is broken
        name = found.relative_to(ROOT).as_posix()
        if method := METHOD.fullmatch(name):
            found = DOCS / "methods" / f"{method[1]}.md"
        elif name == "README.md":
            found = DOCS / "index.md"
        if not found.is_relative_to(DOCS) or found.suffix != ".md":
            return f"{words} (`{name}`)" if words.strip("`") != name else f"`{name}`"
        return f"[{words}]({Path(os.path.relpath(found, page)).as_posix()}{anchor})"

    return LINK.sub(replaced, text)


def read(app: object, docname: str, source: list[str]) -> None:
    """Put what a page includes into it, and make its links those of the site."""
    page = (DOCS / docname).parent

    def included(given: re.Match[str]) -> str:
        file = (page / given[1]).resolve()
        return as_on_site(file.read_text(encoding="utf-8"), file.parent, page)

    whole = INCLUDE.search(source[0])
    source[0] = INCLUDE.sub(included, source[0]) if whole else as_on_site(source[0], page, page)


def setup(app: object) -> None:
    """Register ``read`` with Sphinx."""
    app.connect("source-read", read)  # type: ignore[attr-defined]
