"""The kits of a deployment: an agent belongs to one kit, names are unique, and the chosen kits add their settings."""

from pathlib import Path
from typing import ClassVar

import pytest
from pydantic import BaseModel
from tests.kit.kits import DELIVERY
from tests.kit.scripted_llm import ScriptedLlm

from agentvoicebox.agents import Agents
from agentvoicebox.errors import SettingsError
from agentvoicebox.kits.agent_kit import AgentKit
from agentvoicebox.kits.registry import Kits, load_settings
from agentvoicebox.ports.language_model import Llm
from agentvoicebox.tools.definition import Definition

FLOWERS = Definition(
    name="flowers_in_season",
    description="Which flowers are in season.",
    arguments={"type": "object"},
    is_read_only=True,
)
PARCEL_TOOL = next(iter(DELIVERY.definitions))


class FloristSettings(BaseModel):
    """Where flowers are looked up."""

    greenhouse: str = ""


class Florist(AgentKit):
    """A second kit."""

    name = "florist"
    tools = (FLOWERS,)
    settings: ClassVar[type[BaseModel] | None] = FloristSettings

    def identifier(self, text: str) -> str | None:
        """A bouquet."""
        return text if text.startswith("#") else None


BOTH = Kits([*DELIVERY, Florist()])


def test_an_agent_with_tools_of_two_kits_is_refused() -> None:
    with pytest.raises(ValueError, match="two kits, delivery and florist"):
        BOTH.of_tools([PARCEL_TOOL, FLOWERS.name])


def test_an_agent_belongs_to_the_kit_of_its_tools_and_to_none_without() -> None:
    assert BOTH.of_tools([FLOWERS.name, "a_tool_of_its_own"]) is tuple(BOTH)[1]
    assert BOTH.of_tools(["a_tool_of_its_own"]) is None


def test_two_kits_with_the_same_tool_are_refused() -> None:
    with pytest.raises(SettingsError, match=f"kit florist: the tool {FLOWERS.name} exists already"):
        Kits([Florist(), Florist()])


def test_a_setting_of_a_kit_does_not_replace_one_of_the_platform() -> None:
    class Grabbing(BaseModel):
        redis_url: str = ""

    class Grabber(AgentKit):
        name = "grabber"
        settings: ClassVar[type[BaseModel] | None] = Grabbing

    with pytest.raises(SettingsError, match="kit grabber: the setting redis_url exists already"):
        Kits([Grabber()])


def test_an_empty_avb_kits_means_no_kit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AVB_KITS", "")
    settings = load_settings()
    assert settings.kit_names == ()
    assert not hasattr(settings, "shipments")


def test_without_avb_kits_the_delivery_kit_is_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AVB_KITS", raising=False)
    assert load_settings().kit_names == ("delivery",)


def test_a_child_process_gets_the_settings_of_the_kits(monkeypatch: pytest.MonkeyPatch) -> None:
    parent = load_settings(cache_ttl_s=7.0)
    for name, value in parent.to_environment().items():
        monkeypatch.setenv(name, value)
    assert load_settings().model_dump() == parent.model_dump()


def test_an_agent_file_with_tools_of_two_kits_is_refused(tmp_path: Path) -> None:
    agent = f'instructions = "x"\nlanguage_model = "openai"\ntools = ["{PARCEL_TOOL}", "{FLOWERS.name}"]\n'
    (tmp_path / "both.toml").write_text(agent)
    with pytest.raises(SettingsError, match=r"both\.toml: .*two kits"):
        Agents(kits=BOTH, folder=str(tmp_path))


def test_each_kit_grounds_a_language_model() -> None:
    class Grounding(AgentKit):
        def __init__(self, name: str) -> None:
            self.name = name  # type: ignore[misc]
            self.grounds: list[Llm] = []

        def grounded(self, llm: Llm) -> Llm:
            self.grounds.append(llm)
            return ScriptedLlm()

    first, second = Grounding("first"), Grounding("second")
    llm = ScriptedLlm()
    grounded = Kits([first, second]).grounded(llm)
    assert first.grounds == [llm]
    assert second.grounds != [llm] and grounded not in (llm, *second.grounds)


def test_identifiers_of_each_kit_are_masked() -> None:
    assert BOTH.identifier_mask.text("1Z999AA10123456784") == "*" * 14 + "6784"
    assert BOTH.identifier_mask.text("#bouquet") == "****quet"
    assert Kits().identifier_mask.text("#bouquet") == "#xxxxxxx"
