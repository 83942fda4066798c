"""The documents hold together: each link leads to a file and a heading, and each page is in the site's navigation."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.requirement("A18")

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md"), *(ROOT / "examples").rglob("*.md")])
NAVIGATION = (ROOT / "mkdocs.yml").read_text(encoding="utf-8").partition("\nnav:\n")[2]
ADDED = {
    "architecture.md",
    "contributing.md",
    "security.md",
    "changelog.md",
    "licences.md",
}  # from the root, by the site's hook
FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\((?P<path>[^)\s#:]*)(?:#(?P<anchor>[^)\s]+))?\)")
HEADING = re.compile(r"^#+ (?P<text>.+)$", re.MULTILINE)


def text_of(page: Path) -> str:
    """The page without its blocks of code."""
    return FENCE.sub("", page.read_text(encoding="utf-8"))


def anchors(page: Path) -> set[str]:
    """The addresses of its headings."""
    headings = (re.sub(r"\]\([^)]*\)", "]", found["text"]) for found in HEADING.finditer(text_of(page)))
    return {re.sub(r"[^\w\s-]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


def broken_links(page: Path, text: str) -> Iterator[str]:
    """Links of a page that lead nowhere."""
    for link in LINK.finditer(text):
        target = (page.parent / link["path"]).resolve() if link["path"] else page
        if not target.exists() or (link["anchor"] and link["anchor"] not in anchors(target)):
            yield link[0]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_of_a_page_leads_somewhere(page: Path) -> None:
    assert list(broken_links(page, text_of(page))) == []


def test_a_planted_broken_link_is_found() -> None:
    planted = "[a](nowhere.md) [b](limits.md#nothing-like-this) [c](limits.md#sizes) [d](https://example.org)"
    assert len(list(broken_links(DOCS / "index.md", planted))) == 2


def test_every_page_is_in_the_navigation_of_the_site() -> None:
    listed = set(re.findall(r"(\S+\.md)$", NAVIGATION, re.MULTILINE))
    found = {str(page.relative_to(DOCS)) for page in DOCS.rglob("*.md")} | ADDED
    decisions = {page for page in found if re.match(r"adr/\d", page)}  # listed by the site's hook
    assert listed == found - decisions
    assert len(decisions) > 15


def test_the_index_of_decisions_lists_each() -> None:
    index = (DOCS / "adr" / "README.md").read_text(encoding="utf-8")
    assert set(re.findall(r"\]\((\d\S+\.md)\)", index)) == {page.name for page in (DOCS / "adr").glob("[0-9]*.md")}
