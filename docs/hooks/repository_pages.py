"""What the site adds to the pages of `docs/`: pages from the repository's root, and links that lead out of `docs/`.

On a forge the same files are read as they are, so their links are those of the repository; here they are rewritten.
"""

import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[2]
# Address on the site: file of the repository.
ROOT_PAGES = {
    "architecture.md": "ARCHITECTURE.md",
    "contributing.md": "CONTRIBUTING.md",
    "security.md": "SECURITY.md",
    "changelog.md": "CHANGELOG.md",
    "licences.md": "LICENSES.md",
}
SITE_OF = {source: page for page, source in ROOT_PAGES.items()} | {"README.md": "index.md"}
LINK = re.compile(r"(?<=\]\()(?P<path>[^)\s#:]+)(?P<anchor>#[^)\s]*)?(?=\))")
NAMED_FENCE = re.compile(r"^(?P<fence>```\w+) (?P<name>[^\s=]+)$", re.MULTILINE)
REMOTE = re.compile(
    r"<(?:script|img|iframe)[^>]+src=[\"']?https?:|<link[^>]+rel=[\"']?stylesheet[^>]+href=[\"']?https?:"
)


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """List every decision below its index."""
    decisions = sorted((ROOT / "docs" / "adr").glob("[0-9]*.md"))
    for entry in config["nav"]:
        if "Decisions" in entry:
            entry["Decisions"] += [f"adr/{path.name}" for path in decisions]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages of the repository's root."""
    for page, source in ROOT_PAGES.items():
        files.append(File.generated(config, page, content=(ROOT / source).read_text(encoding="utf-8")))
    return files


def on_page_markdown(markdown: str, page: Any, config: MkDocsConfig, files: Files) -> str:
    """Rewrite links, and show the file name of a block of code as its title."""
    address = page.file.src_uri
    source = ROOT_PAGES.get(address, f"docs/{address}")
    repository = config["extra"]["repository"]
    text = LINK.sub(
        lambda found: site_link(found["path"], source, address, repository) + (found["anchor"] or ""), markdown
    )
    return NAMED_FENCE.sub(lambda found: f'{found["fence"]} title="{found["name"]}"', text)


def site_link(path: str, source: str, address: str, repository: str) -> str:
    """The address of a link on the site.

    Args:
        path: the link, relative to its file.
        source: that file, relative to the repository.
        address: of its page on the site.
        repository: web address of the repository.
    """
    target = posixpath.normpath(posixpath.join(posixpath.dirname(source), path))
    if target in SITE_OF:
        return posixpath.relpath(SITE_OF[target], posixpath.dirname(address) or ".")
    if target.startswith("docs/") and (ROOT / target).is_file():
        return posixpath.relpath(target.removeprefix("docs/"), posixpath.dirname(address) or ".")
    if target == "docs/adr":
        return posixpath.relpath("adr/README.md", posixpath.dirname(address) or ".")
    kind = "tree" if (ROOT / target).is_dir() else "blob"
    return f"{repository}/{kind}/main/{target}"


def on_post_page(output: str, page: Any, config: MkDocsConfig) -> str:
    """Refuse a page that would load something from the network."""
    if remote := REMOTE.search(output):
        raise PluginError(f"{page.file.src_uri} loads something from the network: {remote[0]}")
    return output
