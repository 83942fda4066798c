"""An agent is a small file; what it says becomes a session, and what is wrong with it is said at start."""

from pathlib import Path

import pytest
from tests.kit.kits import AGENTS, DELIVERY

from agentvoicebox.agents import Agents, UnknownModel
from agentvoicebox.errors import SettingsError
from agentvoicebox.settings import Settings


def test_the_delivery_agent_is_built_in_and_runs_its_own_tool() -> None:
    agent = AGENTS.resolve("delivery")
    (tool,) = agent.profile().server_tools
    assert (tool.name, tool.is_read_only) == ("get_delivery_status", True)
    assert tool.parameters["properties"]["tracking_id"]["type"] == "string"
    session = agent.session(session_id="sess_1", model="delivery", expires_at=60)
    assert (session.id, session.model, session.expires_at, session.voice) == ("sess_1", "delivery", 60, agent.voice)
    assert session.turn_detection is not None
    assert session.turn_detection.type == "semantic_vad"
    assert agent.greeting in session.instructions


@pytest.mark.parametrize(
    "model",
    [
        "gpt-realtime",
        "gpt-realtime-mini",
        "gpt-realtime-2025-08-28",
        "gpt-4o-realtime-preview",
        "gpt-4o-mini-realtime-preview-2024-12-17",
    ],
)
def test_openais_conversation_models_mean_the_default_agent(model: str) -> None:
    agents = Agents(kits=DELIVERY, default="assistant")
    assert agents.resolve(model) is agents.by_name["assistant"]


@pytest.mark.parametrize(
    "model",
    ["gpt-4o-transcribe", "gpt-realtime-whisper", "gpt-realtime-translate", "gpt-4o", "", "../delivery", "Delivery"],
)
def test_any_other_name_is_refused(model: str) -> None:
    with pytest.raises(UnknownModel) as caught:
        AGENTS.resolve(model)
    assert caught.value.code == ("invalid_model" if model else "missing_model")


@pytest.mark.parametrize("model", ["gpt-4o-transcribe", "local", "", "../delivery", "Delivery"])
def test_a_setting_has_the_default_agent_answer_to_any_name(model: str) -> None:
    agents = Agents.load(Settings(unknown_model="default", default_agent="assistant"))
    assert agents.resolve(model).name == "assistant"
    assert agents.resolve("delivery").name == "delivery"


@pytest.mark.parametrize(
    ("given", "default"),
    [
        ({}, "delivery"),
        ({"kits": ""}, "assistant"),
        ({"llm_base_url": "http://127.0.0.1:11434/v1"}, "assistant"),
        ({"llm_api_key": "sk-1"}, "assistant"),
        ({"llm_servers": "near=http://127.0.0.1:1/v1#qwen"}, "assistant"),
        ({"llm_model": "qwen3"}, "delivery"),  # a name alone is no server
        ({"llm_api_key": "sk-1", "default_agent": "delivery"}, "delivery"),
    ],
)
def test_with_a_language_model_openais_names_mean_the_agent_that_takes_the_clients_instructions(
    given: dict[str, str], default: str
) -> None:
    agents = Agents.load(Settings(**given))  # type: ignore[arg-type]
    for model in ("gpt-realtime", "gpt-4o-realtime-preview"):
        assert agents.resolve(model).name == default
    assert agents.default.name == default


def test_a_users_file_joins_and_replaces_the_built_in_ones(tmp_path: Path) -> None:
    (tmp_path / "delivery.toml").write_text('instructions = "Mine."\nturn_detection = "manual"\n')
    (tmp_path / "florist.toml").write_text('instructions = "Flowers."\nvoice = "shimmer"\nspeed = 1.2\n')
    agents = Agents(kits=DELIVERY, folder=str(tmp_path))
    mine = agents.resolve("delivery").session(session_id="s", model="m", expires_at=0)
    assert (mine.instructions, mine.turn_detection) == ("Mine.", None)
    florist = agents.resolve("florist").session(session_id="s", model="m", expires_at=0)
    assert (florist.voice, florist.speed) == ("shimmer", 1.2)
    assert "assistant" in agents.by_name


def test_every_faulty_file_is_named_with_its_fault(tmp_path: Path) -> None:
    for name, text in {
        "Loud": 'instructions = "x"',
        "no-toml": "instructions = ",
        "nothing": "",
        "typo": 'instructions = "x"\nvoise = "alloy"',
        "toolless": 'instructions = "x"\ntools = ["open_door"]',
        "fast": 'instructions = "x"\nspeed = 9.0',
        "turns": 'instructions = "x"\n[turn_detection]\ntype = "server_vad"\nthreshold = 7',
    }.items():
        (tmp_path / f"{name}.toml").write_text(text)
    with pytest.raises(SettingsError) as caught:
        Agents(kits=DELIVERY, folder=str(tmp_path))
    faults = caught.value.message
    assert len(faults.splitlines()) == 8
    for said in (
        "Loud.toml",
        "no-toml.toml",
        "instructions",
        "voise",
        "open_door",
        "session.audio.output.speed",
        "threshold",
    ):
        assert said in faults


def test_a_missing_folder_and_a_missing_default_are_said(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="AVB_AGENTS_DIR"):
        Agents(kits=DELIVERY, folder=str(tmp_path / "nowhere"))
    with pytest.raises(SettingsError, match="AVB_DEFAULT_AGENT"):
        Agents(kits=DELIVERY, default="nobody")
