"""An agent is a small file; what it says becomes a session, and what is wrong with it is said at start."""

from pathlib import Path

import pytest
from tests.kit.kits import AGENTS, DELIVERY

from agentvoicebox.agents import AgentNotConfigured, Agents, UnknownModel
from agentvoicebox.errors import SettingsError
from agentvoicebox.settings import Settings
from agentvoicebox.wire.session_config import SessionConfig


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
    agents = Agents.load(Settings(unknown_model="default", default_agent="assistant", llm="ollama/llama3.2"))
    assert agents.resolve(model).name == "assistant"
    assert agents.resolve("delivery").name == "delivery"


@pytest.mark.parametrize(
    ("given", "default"),
    [
        ({}, "delivery"),
        ({"kits": ""}, "assistant"),
        ({"llm_base_url": "http://127.0.0.1:11434/v1", "llm_model": "qwen3"}, "assistant"),
        ({"llm_api_key": "sk-1", "llm_model": "gpt"}, "assistant"),
        ({"llm_servers": "near=http://127.0.0.1:1/v1#qwen"}, "assistant"),
        ({"llm_model": "qwen3"}, "delivery"),  # a name alone is no server
        ({"llm_api_key": "sk-1", "default_agent": "delivery"}, "delivery"),
    ],
)
def test_with_a_language_model_openais_names_mean_the_agent_that_takes_the_clients_instructions(
    given: dict[str, str], default: str
) -> None:
    agents = Agents.load(Settings(**given))  # type: ignore[arg-type]
    assert agents.default.name == default
    if default in agents.offered:  # without kits and servers nobody can answer
        for model in ("gpt-realtime", "gpt-4o-realtime-preview"):
            assert agents.resolve(model).name == default


@pytest.mark.parametrize(
    ("language_model", "servers", "to_set"),
    [
        ("openai", {}, "set AVB_LLM (for example AVB_LLM=ollama/llama3.2), or AVB_LLM_BASE_URL and AVB_LLM_MODEL"),
        ("openai/gpt", {}, "no language model server is configured; set AVB_LLM"),
        ("openai/gpt", {"groq": "llama"}, "the first language model server is not configured; set AVB_LLM"),
        ("openai", {"openai": ""}, "no model of the server openai is chosen; write `openai/<model>`"),
        (
            "groq",
            {"openai": "gpt"},
            "there is no language model 'groq' (there are: dialogue, openai); add it to AVB_LLM_SERVERS",
        ),
        ("groq", {"groq": ""}, "no model of the server groq is chosen"),
        ("openai/gpt,dialogue", {}, "set AVB_LLM"),
        (",", {"openai": "gpt"}, "it names no language model"),
        ("openai", {"openai": "gpt"}, ""),
        ("openai/gpt", {"openai": ""}, ""),
        ("openai", {"groq": "llama"}, ""),  # `openai` alone means every server
        ("groq/llama,dialogue", {"groq": ""}, ""),
        ("dialogue", {}, ""),
    ],
)
def test_an_agent_whose_language_model_is_not_configured_is_not_offered_and_says_what_to_set(
    tmp_path: Path, language_model: str, servers: dict[str, str], to_set: str
) -> None:
    (tmp_path / "florist.toml").write_text(f'instructions = "Flowers."\nlanguage_model = "{language_model}"\n')
    agents = Agents(kits=DELIVERY, folder=str(tmp_path), servers=servers)
    assert ("florist" in agents.offered) is (not to_set) and to_set in agents.unavailable.get("florist", "")
    if to_set:
        with pytest.raises(AgentNotConfigured, match="The agent 'florist' can't answer: ") as refused:
            agents.resolve("florist")
        assert to_set in refused.value.message and refused.value.code == "model_not_configured"
        with pytest.raises(UnknownModel) as unknown:
            agents.resolve("nobody")
        assert "florist" not in unknown.value.message
    else:
        assert agents.resolve("florist").name == "florist"


def test_a_default_agent_that_can_not_answer_is_refused_by_its_own_name() -> None:
    agents = Agents(kits=DELIVERY, default="assistant", servers={})
    with pytest.raises(AgentNotConfigured, match="'assistant'"):
        agents.resolve("gpt-realtime")
    assert agents.default.name == "assistant"  # transcription sessions need no answer


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
        "the field instructions is missing",
        "unknown field voise; did you mean voice?; there are instructions, greeting",
        "open_door",
        "session.audio.output.speed",
        "threshold",
    ):
        assert said in faults


def test_a_missing_folder_and_a_missing_default_are_said(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"AVB_AGENTS_DIR=.*nowhere: no such folder; create it"):
        Agents(kits=DELIVERY, folder=str(tmp_path / "nowhere"))
    with pytest.raises(SettingsError, match="AVB_DEFAULT_AGENT=nobody: no such agent; there are assistant, delivery"):
        Agents(kits=DELIVERY, default="nobody")


def test_an_agents_file_may_set_an_idle_timeout_for_either_kind_of_detection(tmp_path: Path) -> None:
    def session_with(detection: str) -> SessionConfig:
        (tmp_path / "quiet.toml").write_text(
            f'instructions = "x"\nlanguage_model = "dialogue"\n[turn_detection]\n{detection}\n'
        )
        agent = Agents.load(Settings(agents_dir=str(tmp_path))).resolve("quiet")
        return agent.session(session_id="s", model="quiet", expires_at=60)

    for kind in ("semantic_vad", "server_vad"):
        detection = session_with(f'type = "{kind}"\nidle_timeout_ms = 9000').turn_detection
        assert detection is not None and (detection.type, detection.idle_timeout_ms) == (kind, 9000)
    with pytest.raises(SettingsError, match="idle_timeout_ms"):
        session_with('type = "semantic_vad"\nidle_timeout_ms = 1000')
