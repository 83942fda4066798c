"""What a session may ask for is decided before the engine, from the patch alone, whatever a client puts into it."""

from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.kit.conversation import Talk

from agentvoicebox.engine.inputs import ClientEventReceived, Input, Opened
from agentvoicebox.engine.session import Engine
from agentvoicebox.errors import InvalidEvent
from agentvoicebox.gateway.admission.session_support import SessionSupport
from agentvoicebox.ports.voice import Voice
from agentvoicebox.providers.catalogue import ModelCatalogue
from agentvoicebox.providers.registry import voice_names
from agentvoicebox.providers.stt.languages import WHISPER_LANGUAGES, stt_skills
from agentvoicebox.wire.client_events import SessionUpdate
from agentvoicebox.wire.session_config import SessionConfig
from agentvoicebox.wire.session_note import NOTES, SessionNote

SUPPORT = SessionSupport(("joe", "alloy"), ("en",), has_spoken_prompts=False, rule_models=("dialogue",))
FIELDS = (
    "instructions", "tools", "tool_choice", "audio", "input", "output", "voice", "id", "type", "transcription", "language",
    "prompt", "noise_reduction", "tracing", "include", "temperature", "input_audio_transcription", "turn_detection",
)  # fmt: skip
TEXTS = st.sampled_from(("", "mcp", "function", "no-such", "joe", "fr", "en-GB", "x" * 300))
LEAVES = TEXTS | st.none() | st.booleans() | st.integers(-2, 2) | st.floats(allow_nan=False)
JSON = st.recursive(
    LEAVES,
    lambda below: st.lists(below, max_size=3) | st.dictionaries(st.sampled_from(FIELDS), below, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from(FIELDS), JSON, max_size=6), st.sampled_from(("dialogue", "openai")))
def test_any_patch_is_adapted_or_refused_with_a_typed_error(patch: dict[str, Any], model: str) -> None:
    before = msgspec.json.encode(patch)
    try:
        adapted, notes = SUPPORT.adapt(SessionConfig(), patch, (), language_model=model)
    except InvalidEvent as error:
        assert error.code == "invalid_value" and error.param is not None and "joe, alloy" in error.message
        return
    finally:
        assert msgspec.json.encode(patch) == before  # a client's own event is not changed
    assert set(adapted) <= set(patch)
    assert all(note.code in NOTES and note.param.startswith("session.") for note in notes)
    again, same = SUPPORT.adapt(SessionConfig(), adapted, (), language_model=model)
    assert again == adapted and [note for note in notes if note.code != "mcp_not_served"] == list(same)


@given(st.dictionaries(st.sampled_from(FIELDS), JSON, max_size=6))
def test_a_server_that_knows_nothing_of_its_engines_refuses_no_voice_and_no_language(patch: dict[str, Any]) -> None:
    _, notes = SessionSupport().adapt(SessionConfig(), patch, (), language_model="openai")
    assert {note.code for note in notes} <= {"mcp_not_served", "no_effect"}


@pytest.mark.parametrize(
    ("names", "says"),
    [
        (["hang_up"], None),
        (["hang_up", "get_price"], "of these tools it calls only hang_up."),
        (["get_price"], "these tools are never called."),
        ([], None),
    ],
)
def test_a_tool_that_an_agent_with_rules_knows_is_used(names: list[str], says: str | None) -> None:
    support = SessionSupport(rule_models=("dialogue",), rule_tools=frozenset({"hang_up"}))
    tools = [{"type": "function", "name": name} for name in names]
    _, notes = support.adapt(SessionConfig(), {"tools": tools}, (), language_model="dialogue")
    assert [note.code for note in notes] == (["tools_not_used"] if says else [])
    assert all(says in note.message for note in notes if says)
    assert support.adapt(SessionConfig(), {"tools": tools}, (), language_model="openai") == ({"tools": tools}, ())


def test_a_log_with_notes_replays_to_the_same_bytes_and_one_without_is_as_it_was() -> None:
    talk = Talk()
    note = SessionNote("tools_not_used", "They are not called.", "session.tools")
    talk.give(ClientEventReceived(SessionUpdate(session={"instructions": "A"}), 0, notes=(note,)))
    talk.give(ClientEventReceived(SessionUpdate(session={"instructions": "B"}), 0))  # as before
    shown = [event.session.get("notes") for event in talk.sent if hasattr(event, "session")]
    assert shown == [None, [msgspec.to_builtins(note)], [msgspec.to_builtins(note)]]
    log = msgspec.msgpack.encode([(0.0, talk.opened), *talk.inputs])
    entries = msgspec.msgpack.decode(log, type=list[tuple[float, Input]])
    opened = entries[0][1]
    assert isinstance(opened, Opened)
    engine, effects = Engine.open(opened, 0.0)
    for now_s, each in entries[1:]:
        effects += engine.receive(each, now_s)
    assert msgspec.msgpack.encode(effects) == msgspec.msgpack.encode(talk.effects)
    assert Engine.restore(engine.snapshot()).state.notes == (note,)
    for plain in (talk.opened, ClientEventReceived(SessionUpdate(session={}), 0)):
        assert b"notes" not in msgspec.msgpack.encode(plain)


@pytest.mark.parametrize(
    ("profile", "knows", "is_unknown"),
    [
        ("fast", "en", "de"),
        ("moonshine", "en", "fr"),
        ("accurate", "de", "klingon"),
        ("scripted", "", ""),
        ("a-plug-in", "", ""),
    ],
)
def test_the_languages_of_a_profile_are_those_of_its_model(
    tmp_path: Path, profile: str, knows: str, is_unknown: str
) -> None:
    languages = stt_skills(profile, ModelCatalogue(cache_dir=tmp_path)).languages
    assert (knows in languages, is_unknown in languages) == (bool(knows), False)
    assert languages in ((), ("en",), WHISPER_LANGUAGES)


def test_voices_of_a_plug_in_are_known_to_its_worker_alone() -> None:
    voices = [Voice("joe", "piper", "en-US")]
    assert voice_names(("piper", "espeak"), voices) == ("joe",)
    assert voice_names(("piper", "my-engine"), voices) == ()
