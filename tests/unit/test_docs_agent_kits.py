"""`docs/agent-kits.md` shows the example kit as it is: each block that names a file is a literal part of that file."""

from pathlib import Path

import pytest
from tests.kit.pages import PAGE, Block, blocks

EXAMPLE = Path(__file__).parents[2] / "examples" / "clinic-kit"
SHOWN = [block for block in blocks(PAGE) if block.file]


def file_of(block: Block) -> Path:
    (found,) = EXAMPLE.rglob(block.file)
    return found


@pytest.mark.parametrize("block", SHOWN, ids=lambda block: block.file)
def test_a_block_that_names_a_file_is_a_part_of_it(block: Block) -> None:
    assert block.text in file_of(block).read_text(encoding="utf-8")


def test_the_page_shows_every_part_of_the_kit() -> None:
    parts = ("kit", "tools", "dialogue", "facts", "judge", "grounded", "settings")
    wanted = {"pyproject.toml", "clinic.toml", "cancel.toml", *(f"{part}.py" for part in parts)}
    assert {block.file for block in SHOWN} == wanted


def test_python_code_of_the_page_always_names_its_file() -> None:
    assert [block.text for block in blocks(PAGE) if block.language == "python" and not block.file] == []
