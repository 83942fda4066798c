"""The generated pages of the reference are those of the code, and the roles that read a setting are all named."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.kit.reference.markdown import COMMAND
from tests.kit.reference.pages import FOLDER, PAGES
from tests.kit.reference.setting_readers import ALL, GATEWAY, READERS, WEBHOOK
from tests.kit.reference.settings_page import groups

import agentvoicebox

pytestmark = pytest.mark.requirement("A18")

SOURCES = Path(agentvoicebox.__file__).parent
WORKERS = ("stt", "tts", "llm", "tool", "recorder", "janitor")
SOURCES_OF = {GATEWAY: SOURCES / "gateway", WEBHOOK: SOURCES / "webhook"} | {
    role: SOURCES / "workers" / f"{role}.py" for role in WORKERS
}


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_current(name: str) -> None:
    assert (FOLDER / name).read_text(encoding="utf-8") == PAGES[name](), COMMAND


@pytest.mark.parametrize("role", SOURCES_OF)
def test_a_setting_that_a_role_reads_names_this_role(role: str) -> None:
    read = set(read_by(SOURCES_OF[role]))
    assert read
    assert {name for name in read if role not in READERS[name] and READERS[name] != ALL} == set()


def read_by(place: Path) -> Iterator[str]:
    """Settings that sources read directly; of a property, the settings that it reads."""
    fields, properties = {name for _, group in groups() for name in group.model_fields}, _properties()
    for path in place.rglob("*.py") if place.is_dir() else [place]:
        for name in attributes_of("settings", ast.parse(path.read_text(encoding="utf-8"))):
            yield from {name} & fields or properties.get(name, set())


def _properties() -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for path in (SOURCES / "settings").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef) and any(
                ast.unparse(each) == "property" for each in node.decorator_list
            ):
                found[node.name] = set(attributes_of("self", node)) & set(READERS)
    return found


def attributes_of(name: str, tree: ast.AST) -> Iterator[str]:
    """What is read from a variable of this name."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == name:
            yield node.attr
