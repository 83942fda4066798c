"""Kits are found by entry point or by `module:object`, put together without clashes, and bring their settings with them."""

import importlib
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
from pydantic import BaseModel, Field

from agentvoicebox.agents import Agents
from agentvoicebox.errors import SettingsError
from agentvoicebox.kits.agent_kit import AgentKit
from agentvoicebox.kits.registry import GROUP, Kits, installed, kits_of, load_kits, load_settings, settings_class
from agentvoicebox.ports.language_model import Llm
from agentvoicebox.settings import Settings
from agentvoicebox.tools.definition import Definition
from agentvoicebox_delivery.kit import DeliveryKit
from agentvoicebox_delivery.language_models.dialogue import DialogueLlm


class TablesSettings(BaseModel):
    """Settings of a restaurant."""

    tables_count: int = Field(default=4, ge=1)
    tables_secret: str = Field(default="", repr=False)


class TablesKit(AgentKit):
    """A restaurant that books tables."""

    name = "tables"
    tools = (Definition(name="book_table", description="Books.", arguments={}),)
    settings = TablesSettings
    fact_keys = frozenset({"table"})

    def identifier(self, text: str) -> str | None:
        return text if text.startswith("#") else None


class BooksKit(AgentKit):
    """A library."""

    name = "books"
    tools = (Definition(name="find_book", description="Finds.", arguments={}),)


class OtherBooksKit(BooksKit):
    """A library with a tool of the same name."""

    name = "other-books"


class RivalSettings(BaseModel):
    """Takes a setting of the restaurant's."""

    tables_count: int = 0


class GreedySettings(BaseModel):
    """Takes a setting of the platform's."""

    port: int = 0


def kit(**parts: object) -> AgentKit:
    """A kit that brings these parts alone."""
    made: AgentKit = type("Made", (AgentKit,), {"name": "made", **parts})()
    return made


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> str:
    """A module with kits in it."""
    found = ModuleType("restaurant")
    vars(found).update(TablesKit=TablesKit, made=BooksKit(), no_kit="nothing")
    monkeypatch.setitem(sys.modules, "restaurant", found)
    for name in [each for each in os.environ if each.startswith("AVB_")]:
        monkeypatch.delenv(name)
    load_kits.cache_clear()
    return found.__name__


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: str) -> None:
    """An installed package with an entry point for the restaurant's kit."""
    (tmp_path / "tables-1.dist-info").mkdir()
    (tmp_path / "tables-1.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: tables\nVersion: 1\n")
    (tmp_path / "tables-1.dist-info" / "entry_points.txt").write_text(f"[{GROUP}]\ntables = {module}:TablesKit\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    importlib.invalidate_caches()


# -- loading -----------------------------------------------------------------------------------------------------------


def test_a_kit_is_found_by_its_entry_point(package: None) -> None:
    assert installed()["tables"] == "restaurant:TablesKit"
    assert load_kits(("tables",)).names == ("tables",)


def test_a_kit_is_loaded_by_module_and_object_as_a_class_or_an_instance(module: str) -> None:
    assert load_kits((f"{module}:TablesKit", f"{module}:made")).names == ("tables", "books")


def test_an_unknown_kit_is_refused_with_the_names_of_those_that_are_installed(package: None) -> None:
    with pytest.raises(SettingsError, match="no agent kit 'table'; installed: delivery, tables"):
        load_kits(("table",))


@pytest.mark.parametrize("name", ["nowhere:Kit", "restaurant:Nothing"])
def test_a_kit_that_cant_be_imported_says_why(module: str, name: str) -> None:
    with pytest.raises(SettingsError, match=f"the agent kit '{name}' can't be imported: .*(nowhere|Nothing)"):
        load_kits((name,))


def test_an_object_that_is_no_kit_is_refused(module: str) -> None:
    with pytest.raises(SettingsError, match="'restaurant:no_kit' is not an AgentKit"):
        load_kits((f"{module}:no_kit",))


def test_an_unset_avb_kits_means_the_delivery_kit_and_an_empty_one_no_kit(
    module: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert kits_of(load_settings()).names == ("delivery",)
    monkeypatch.setenv("AVB_KITS", "")
    bare = load_settings()
    assert kits_of(bare).names == () and not hasattr(bare, "shipments")
    assert kits_of(load_settings(kits=f"{module}:TablesKit")).names == ("tables",)


# -- several kits ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kits", "reason"),
    [
        ([BooksKit(), BooksKit()], "AVB_KITS: the kit books is listed twice; remove one"),
        ([BooksKit(), OtherBooksKit()], "kit other-books: the tool find_book exists already"),
        ([TablesKit(), kit(settings=RivalSettings)], "kit made: the setting tables_count exists already"),
        ([kit(settings=GreedySettings)], "kit made: the setting port exists already"),
        (
            [DeliveryKit(), kit(language_models=lambda self: {"dialogue": DialogueLlm()})],
            "kit made: the language model dialogue exists already",
        ),
    ],
)
def test_what_two_bring_under_one_name_is_refused(kits: list[AgentKit], reason: str) -> None:
    with pytest.raises(SettingsError, match=reason):
        Kits(kits)


def test_an_agents_tools_belong_to_one_kit() -> None:
    kits = Kits([TablesKit(), BooksKit()])
    found = kits.of_tools(["book_table", "a tool over HTTP"])
    assert found is not None and found.name == "tables"
    assert kits.of_tools(["a tool over HTTP"]) is None and kits.of_tools([]) is None
    with pytest.raises(ValueError, match="it has tools of two kits, books and tables; an agent belongs to one kit"):
        kits.of_tools(["book_table", "find_book"])


def test_an_agent_file_with_tools_of_two_kits_is_refused(tmp_path: Path) -> None:
    agent = 'instructions = "x"\nlanguage_model = "openai"\ntools = ["book_table", "find_book"]\n'
    (tmp_path / "both.toml").write_text(agent)
    with pytest.raises(SettingsError, match=r"both\.toml: .*two kits"):
        Agents(kits=Kits([TablesKit(), BooksKit()]), folder=str(tmp_path))


def test_an_identifier_of_any_kit_is_masked_and_facts_of_each_are_kept() -> None:
    mask = Kits([DeliveryKit(), TablesKit()]).identifier_mask
    assert mask.text("#window") == "***ndow" and mask.text("PKG004") == "**G004"
    assert Kits().identifier_mask.text("#window") == "#xxxxxx"
    assert mask.output({"table": "by the window", "eta": "soon"}) == {"table": "by the window", "eta": "soon"}


def test_every_kit_wraps_a_language_model_in_order() -> None:
    def wrapping(name: str) -> AgentKit:
        return kit(name=name, grounded=lambda self, llm: (name, llm))

    llm: Llm = DialogueLlm()
    wrapped: object = Kits([wrapping("a"), wrapping("b")]).grounded(llm)
    assert wrapped == ("b", ("a", llm))
    assert Kits().grounded(llm) is llm


def test_without_kits_there_is_no_tool_no_judge_no_identifier_and_a_general_default_agent() -> None:
    kits = Kits()
    assert (kits.definitions, kits.judge_of(["get_delivery_status"]), kits.identifier("PKG004")) == ({}, None, None)
    assert (kits.agent_folders, kits.default_agent, kits.language_models()) == ((), "assistant", {})
    assert settings_class(kits) is Settings
    assert Kits([TablesKit(), DeliveryKit()]).default_agent == "delivery"  # the first that brings one of its own name


# -- settings ----------------------------------------------------------------------------------------------------------


def test_all_faults_of_platform_and_kits_are_named_at_once(module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "AVB_KITS": f"{module}:TablesKit,delivery",
        "AVB_PORT": "many",
        "AVB_TABLES_COUNT": "0",
        "AVB_CACHE_SIZE": "0",
        "AVB_TABLES_COUNTS": "1",
    }.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as refused:
        load_settings()
    said = refused.value.message
    assert [name for name in ("AVB_PORT:", "AVB_TABLES_COUNT:", "AVB_CACHE_SIZE:") if name not in said] == []
    assert "AVB_TABLES_COUNTS: no such setting; did you mean AVB_TABLES_COUNT?" in said


def test_a_setting_of_a_kit_that_was_not_chosen_is_refused(module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AVB_KITS", "")
    monkeypatch.setenv("AVB_SHIPMENTS", "catalogue")
    with pytest.raises(SettingsError, match="AVB_SHIPMENTS: no such setting"):
        load_settings()


def test_settings_of_a_kit_reach_a_child_process_and_its_secret_stays_out_of_the_text(
    module: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = load_settings(kits=f"{module}:TablesKit", tables_count=7, tables_secret="a-secret")
    assert "a-secret" not in repr(settings)
    for name, value in settings.to_environment().items():
        monkeypatch.setenv(name, value)
    again = load_settings()
    assert again.model_dump() == settings.model_dump() and again.model_dump()["tables_count"] == 7


def test_no_kits_reach_a_child_process_as_no_kits(module: str) -> None:
    bare = load_settings(kits="")
    child = "from agentvoicebox.kits.registry import kits_of, load_settings as load; print(kits_of(load()).names)"
    environment = {**os.environ, **bare.to_environment()}
    assert subprocess.check_output([sys.executable, "-c", child], env=environment, text=True) == "()\n"
