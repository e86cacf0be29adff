"""The pages of docs/: every link leads somewhere, and every page stands in the index."""

import re
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGES = sorted((ROOT / "docs").glob("*.md"))
TEXTS = [*PAGES, *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md"))]
LINK = re.compile(r"\]\((?!https?:)([^)\s#]*)(?:#([^)\s]*))?\)")


def anchors(page):
    """Return what a page's headings are linked by."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    plain = [re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings]
    return {heading.replace(" ", "-") for heading in plain}


def dead_links(page):
    for target, anchor in LINK.findall(re.sub(r"```.*?```", "", page.read_text(), flags=re.S)):
        other = (page.parent / target).resolve() if target else page
        if not other.exists() or (anchor and anchor not in anchors(other)):
            yield f"{page.name}: {target}#{anchor}"


@pytest.mark.parametrize("page", TEXTS, ids=lambda page: page.stem)
def test_every_link_leads_to_a_file_and_a_heading(page):
    assert not list(dead_links(page))


def test_a_dead_link_is_found(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("# One, two\n[a](#one-two) [b](#three) [c](no.md) [d](page.md#one-two)")
    assert list(dead_links(page)) == ["page.md: #three", "page.md: no.md#"]


def test_every_page_stands_in_the_index():
    index = (ROOT / "docs/README.md").read_text()
    pages = [page.name for page in PAGES if page.name != "README.md"]
    assert [name for name in pages if f"]({name})" not in index] == []


def test_the_table_of_extras_lists_each_of_them():
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    rows = re.findall(r"^\| `(\w+)` \|", (ROOT / "docs/README.md").read_text(), re.MULTILINE)
    assert sorted(rows) == sorted(settings["project"]["optional-dependencies"])


def test_torch_without_cuda_has_the_versions_of_the_pinned_date():
    pinned = re.findall(r" (torch\w*)==([\d.]+)", (ROOT / "docs/workstation.md").read_text())
    assert len(pinned) == 3
    assert dict(pinned) == {name: version(name).partition("+")[0] for name, _ in pinned}
