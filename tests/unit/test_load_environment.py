"""What runs in Locust's environment imports nothing of the project's, and what runs in the project's imports no gevent."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.requirement("A16.2")

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "benchmarks" / "load"
OF_LOCUST = {"__init__", "sample", "plan", "caller_pool", "locustfile"}
GREEN = {"gevent", "locust"}


def packages_of(path: Path) -> Iterator[str]:
    """The packages that a file imports; of this folder, the module."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            own = node.module.removeprefix("benchmarks.load")
            if own != node.module:
                yield from [own.removeprefix(".")] if own else (alias.name for alias in node.names)
            else:
                yield node.module.partition(".")[0]


@pytest.mark.parametrize("name", sorted(OF_LOCUST))
def test_locusts_files_import_the_standard_library_and_each_other(name: str) -> None:
    assert set(packages_of(FOLDER / f"{name}.py")) <= set(sys.stdlib_module_names) | OF_LOCUST | GREEN


@pytest.mark.parametrize("path", [path for path in sorted(FOLDER.glob("*.py")) if path.stem not in OF_LOCUST], ids=str)
def test_the_other_files_import_no_greenlets(path: Path) -> None:
    assert not set(packages_of(path)) & (GREEN | {"caller_pool", "locustfile"})


@pytest.mark.parametrize("name", ["run", "dev"])
def test_no_greenlets_are_installed_beside_the_server(name: str) -> None:
    pins = {line.partition("==")[0] for line in (ROOT / "requirements" / f"{name}.txt").read_text().splitlines()}
    assert pins and not pins & GREEN


def test_locust_is_pinned_with_hashes() -> None:
    text = (ROOT / "requirements" / "load.txt").read_text()
    assert "locust==2." in text and "--hash=sha256:" in text
