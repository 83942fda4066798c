"""The package declares what the code imports, allows what was tested, and says the size of each extra."""

import ast
import importlib.metadata
import re
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from requirements.install import PIN

from agentvoicebox.providers.needs import STT_NEEDS, TTS_NEEDS, VOICE_ACTIVITY, EngineNeeds

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "pyproject.toml").read_text()
PROJECT = tomllib.loads(TEXT)["project"]
EXTRAS: dict[str, list[str]] = PROJECT["optional-dependencies"]
BASE = [Requirement(each) for each in PROJECT["dependencies"]]
EVERY = BASE + [Requirement(each) for lines in EXTRAS.values() for each in lines]
DECLARED = {canonicalize_name(each.name) for each in EVERY}
# Modules of packages that a declared package always brings.
BROUGHT = {"starlette": "fastapi", "pydantic_core": "pydantic", "httpx2": "openai"}
# Imported when they are there; the message says how to install them.
UNDECLARED = {"huggingface_hub"}
# Their major versions count years or releases, not breaks; or their interface has long been stable.
UNCAPPED = {"argon2-cffi", "cryptography", "structlog", "protobuf"}
INSTALL_PAGE = (ROOT / "docs" / "install.md").read_text()
SOURCES = sorted((ROOT / "src").rglob("*.py"))


def imported() -> set[str]:
    """The top-level modules that the sources import, also inside functions."""
    found: set[str] = set()
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                found |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                found.add((node.module or "").partition(".")[0])
    return {name for name in found if name not in sys.stdlib_module_names and not name.startswith("agentvoicebox")}


def test_every_package_that_the_code_imports_is_declared() -> None:
    packages = importlib.metadata.packages_distributions()
    names = imported() - UNDECLARED
    missing = {
        name for name in names if not DECLARED & {canonicalize_name(each) for each in packages.get(name, [name])}
    }
    assert missing <= BROUGHT.keys(), missing - BROUGHT.keys()
    assert {BROUGHT[name] for name in missing} <= DECLARED


def test_the_tested_versions_are_allowed() -> None:
    pins: dict[str, set[str]] = {}
    for line in (ROOT / "requirements" / "dev.txt").read_text().splitlines():
        if match := PIN.match(line):
            pin = Requirement(match[0].strip())
            pins.setdefault(canonicalize_name(pin.name), set()).add(next(iter(pin.specifier)).version)
    refused = {
        str(each): pins.get(canonicalize_name(each.name))
        for each in EVERY
        if canonicalize_name(each.name) in pins
        and not all(each.specifier.contains(version) for version in pins[canonicalize_name(each.name)])
    }
    assert refused == {}
    assert {canonicalize_name(each.name) for each in BASE} <= pins.keys()


def test_every_package_is_capped_at_a_version_that_may_break() -> None:
    loose = {each.name for each in EVERY if not {"<", "=="} & {part.operator for part in each.specifier}}
    assert loose - {"agentvoicebox"} == UNCAPPED


def test_the_install_set_has_what_all_names() -> None:
    pins = {
        canonicalize_name(Requirement(match[0].strip()).name)
        for line in (ROOT / "requirements" / "run.txt").read_text().splitlines()
        if (match := PIN.match(line))
    }
    (everything,) = (Requirement(each) for each in EXTRAS["all"])
    names = {canonicalize_name(Requirement(line).name) for extra in everything.extras for line in EXTRAS[extra]}
    assert names <= pins


def test_messages_name_extras_that_exist() -> None:
    named = {name for path in SOURCES for name in re.findall(r"agentvoicebox\[([a-z-]+)\]", path.read_text())}
    assert named and named <= EXTRAS.keys()


@pytest.mark.parametrize("extra", sorted(EXTRAS))
def test_each_extra_says_its_size_as_the_page_does(extra: str) -> None:
    (comment,) = re.findall(rf"^# (.*)\n{re.escape(extra)} = \[", TEXT, re.MULTILINE)
    (size,) = re.findall(r"(\d+) MB\.$", comment)
    assert re.search(rf"^\| `{re.escape(extra)}` \|.*\| {size} \|$", INSTALL_PAGE, re.MULTILINE)


@pytest.mark.parametrize("engine", [VOICE_ACTIVITY, *STT_NEEDS.values(), *TTS_NEEDS.values()], ids=str)
def test_an_engine_needs_only_packages_that_its_extra_names(engine: EngineNeeds) -> None:
    named = {canonicalize_name(Requirement(each).name) for each in EXTRAS.get(engine.extra, [])}
    packages = importlib.metadata.packages_distributions()
    needed = {canonicalize_name(name) for package in engine.packages for name in packages[package]}
    assert needed <= named, f"`pip install agentvoicebox[{engine.extra}]` does not bring {needed - named}"
