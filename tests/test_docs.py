"""Pages: links lead somewhere, figures were measured, each has its place in the site."""

import re
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from weakseg.methods import METHODS

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = sorted((*DOCS.rglob("*.md"), ROOT / "README.md", *(ROOT / "src/weakseg/methods").glob("*/README.md")))
LINK = re.compile(r"\]\(([^)\s]+)\)")


@cache
def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


@cache
def anchors(page: Path) -> frozenset[str]:
    """Return what a page's headings are linked by, as GitHub makes it."""
    prose = re.sub(r"^```.*?^```", "", text_of(page), flags=re.DOTALL | re.MULTILINE)
    headings = re.findall(r"^#+ (.*)$", prose, re.MULTILINE)
    return frozenset(re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings)


def broken(page: Path, text: str) -> Iterator[str]:
    """Yield the links of a page that lead nowhere."""
    for link in LINK.findall(re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)):
        if "://" in link or link.startswith("mailto:"):
            continue
        target, _, anchor = link.partition("#")
        file = (page.parent / target).resolve() if target else page
        if not file.exists():
            yield f"{page.relative_to(ROOT)}: {link}: there is no such file"
        elif anchor and anchor not in anchors(file):
            yield f"{page.relative_to(ROOT)}: {link}: there is no such heading"


def test_every_link_leads_somewhere() -> None:
    assert [fault for page in PAGES for fault in broken(page, text_of(page))] == []
    text = "[a](nowhere.md) [b](guide.md#nothing) [c](guide.md#-have-few-photographs) [d](#results)"
    assert len(list(broken(DOCS / "results.md", text))) == 2


def test_every_page_has_one_place_in_the_site() -> None:
    listed: Counter[Path] = Counter()
    for page in DOCS.rglob("*.md"):
        for tree in re.findall(r"^```\{toctree\}\n(.*?)^```", text_of(page), re.DOTALL | re.MULTILINE):
            names = [line for line in tree.splitlines() if line and not line.startswith(":")]
            listed.update((page.parent / f"{name}.md").resolve() for name in names)
    assert set(listed.values()) == {1}
    assert set(listed) == set(DOCS.rglob("*.md")) - {DOCS / "index.md"}


def test_every_method_has_its_page() -> None:
    folders = {method.recipe.__module__.split(".")[2] for method in METHODS.values()}
    assert {page.stem for page in (DOCS / "methods").glob("*.md")} == folders | {"index"}
    for name in folders:
        assert f"../../src/weakseg/methods/{name}/README.md" in text_of(DOCS / "methods" / f"{name}.md")
    assert all(f"`{name}`" in text_of(DOCS / "which-method.md") for name in METHODS)


def test_figures_of_the_page_on_methods_were_measured() -> None:
    """All numbers with a decimal point stand in the results, too."""
    numbers = set(re.findall(r"\d+\.\d+", text_of(DOCS / "which-method.md")))
    assert len(numbers) > 20
    assert numbers - set(re.findall(r"\d+\.\d+", text_of(DOCS / "results.md"))) == set()
