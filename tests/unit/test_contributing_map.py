"""The map of CONTRIBUTING.md leads to files that exist."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "CONTRIBUTING.md").read_text()
MAP = TEXT.partition("## To change something")[2].partition("\n## ")[0]
PATHS = [each for quoted in re.findall(r"`([^`]+)`", MAP) for each in quoted.split() if re.search(r"[/.]", each)]


@pytest.mark.parametrize("path", sorted(set(PATHS)))
def test_a_path_of_the_map_exists(path: str) -> None:
    assert any(list(start.glob(path)) for start in (ROOT, ROOT / "src/agentvoicebox")), path


def test_the_map_has_its_rows() -> None:
    assert len(re.findall(r"^\| ", MAP, re.MULTILINE)) >= 15 and len(PATHS) > 50


def test_every_command_of_the_makefile_that_is_named_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"`make ([a-z-]+)", TEXT)) <= targets
