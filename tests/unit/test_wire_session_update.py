"""What `session.update` may do, rule by rule, and what each fault is called."""

from typing import Any

import msgspec
import pytest

from agentvoicebox.errors import InvalidEvent
from agentvoicebox.wire.audio_config import AudioFormat, NoiseReduction, Transcription, TurnDetection
from agentvoicebox.wire.bodies import read_response_options
from agentvoicebox.wire.session_config import SessionConfig, apply_update, resolve_response_options, session_to_wire

NO_RATES: list[Any] = [48_000, 44_100, 22_050, 11_025, 7_999, 0, -1, 24_000.5, "16000", True, []]

TOOL = {"type": "function", "name": "look_up", "description": "d", "parameters": {"type": "object", "properties": {}}}
BUSY = SessionConfig(
    id="sess_1",
    model="gpt-realtime",
    expires_at=9,
    instructions="be kind",
    tools=(TOOL,),
    tracing="auto",
    prompt={"id": "pmpt_1"},
    include=("item.input_audio_transcription.logprobs",),
    transcription=Transcription(model="whisper-1", language="en", prompt="parcels"),
    noise_reduction=NoiseReduction(type="near_field", strength=0.5),
    turn_detection=TurnDetection(threshold=0.7, silence_duration_ms=350, idle_timeout_ms=6_000),
)
LISTENER = SessionConfig(type="transcription", id="sess_1")


def audio_in(**fields: object) -> dict[str, Any]:
    return {"audio": {"input": fields}}


def audio_out(**fields: object) -> dict[str, Any]:
    return {"audio": {"output": fields}}


def refused(patch: dict[str, Any], config: SessionConfig = BUSY, **locks: bool) -> tuple[str | None, str | None]:
    with pytest.raises(InvalidEvent) as caught:
        apply_update(config, patch, **locks)
    return caught.value.code, caught.value.param


# --- only present keys change; nested audio merges; null clears; units are replaced ------------------


def test_an_empty_update_changes_nothing() -> None:
    assert apply_update(BUSY, {}) == BUSY
    assert apply_update(BUSY, {"type": "realtime", "audio": {"input": {}, "output": {}}}) == BUSY


def test_only_present_keys_change() -> None:
    assert apply_update(BUSY, {"instructions": "be brief"}) == msgspec.structs.replace(BUSY, instructions="be brief")


def test_a_session_sent_back_as_it_was_shown_changes_nothing() -> None:
    assert apply_update(BUSY, session_to_wire(BUSY)) == BUSY
    assert apply_update(LISTENER, session_to_wire(LISTENER)) == LISTENER


def test_audio_merges_deeply() -> None:
    changed = apply_update(BUSY, {"audio": {"input": {"transcription": {"language": "de"}}, "output": {"speed": 1.2}}})
    assert changed.transcription == Transcription(model="whisper-1", language="de", prompt="parcels")
    assert changed == msgspec.structs.replace(BUSY, transcription=changed.transcription, speed=1.2)


@pytest.mark.parametrize("name", ["transcription", "noise_reduction", "turn_detection"])
def test_null_clears_what_is_optional_in_the_input(name: str) -> None:
    assert getattr(apply_update(BUSY, audio_in(**{name: None})), name) is None


@pytest.mark.parametrize("name", ["tracing", "prompt", "include"])
def test_null_clears_what_is_optional_in_the_session(name: str) -> None:
    assert getattr(apply_update(BUSY, {name: None}), name) is None


@pytest.mark.parametrize(
    "patch",
    [
        {"instructions": None, "tools": None, "tool_choice": None, "max_output_tokens": None, "truncation": None},
        {"output_modalities": None, "audio": None, "model": None, "type": None},
        {"audio": {"input": None, "output": None}},
        {"audio": {"input": {"format": None}, "output": {"format": None, "voice": None, "speed": None}}},
    ],
)
def test_null_elsewhere_means_absent(patch: dict[str, Any]) -> None:
    assert apply_update(BUSY, patch) == BUSY


def test_empty_instructions_clear_them() -> None:
    assert apply_update(BUSY, {"instructions": ""}).instructions == ""


def test_tools_are_replaced_as_a_whole_and_an_empty_list_clears_them() -> None:
    other = {"type": "function", "name": "other"}
    assert apply_update(BUSY, {"tools": [other]}).tools == (other,)
    assert apply_update(BUSY, {"tools": []}).tools == ()


def test_include_is_replaced_as_a_whole() -> None:
    assert apply_update(BUSY, {"include": []}).include == ()


def test_turn_detection_with_its_type_is_replaced_as_a_whole() -> None:
    changed = apply_update(BUSY, audio_in(turn_detection={"type": "server_vad", "prefix_padding_ms": 100}))
    assert changed.turn_detection == TurnDetection(prefix_padding_ms=100)


def test_turn_detection_without_its_type_merges_and_stays_on() -> None:
    changed = apply_update(BUSY, audio_in(turn_detection={"silence_duration_ms": 900, "idle_timeout_ms": None}))
    assert changed.turn_detection == TurnDetection(threshold=0.7, silence_duration_ms=900, idle_timeout_ms=None)
    manual = apply_update(BUSY, audio_in(turn_detection=None))
    assert apply_update(manual, audio_in(turn_detection={"threshold": 0.3})).turn_detection == TurnDetection(
        threshold=0.3
    )


def test_the_echo_of_turn_detection_is_complete_even_if_the_client_was_brief() -> None:
    changed = apply_update(BUSY, audio_in(turn_detection={"type": "semantic_vad"}))
    assert session_to_wire(changed)["audio"]["input"]["turn_detection"] == {
        "type": "semantic_vad",
        "eagerness": "auto",
        "create_response": True,
        "interrupt_response": True,
    }
    changed = apply_update(BUSY, audio_in(turn_detection={"type": "server_vad"}))
    assert session_to_wire(changed)["audio"]["input"]["turn_detection"] == {
        "type": "server_vad",
        "threshold": 0.5,
        "prefix_padding_ms": 300,
        "silence_duration_ms": 200,
        "idle_timeout_ms": None,
        "create_response": True,
        "interrupt_response": True,
    }


def test_noise_reduction_keeps_its_strength_when_an_update_omits_it() -> None:
    changed = apply_update(BUSY, audio_in(noise_reduction={"type": "far_field"}))
    assert changed.noise_reduction == NoiseReduction(type="far_field", strength=0.5)


def test_only_model_language_and_prompt_of_a_transcription_are_echoed() -> None:
    changed = apply_update(
        BUSY,
        audio_in(transcription={"model": "gpt-transcribe", "delay": "low", "keywords": ["a"], "languages": ["en"]}),
    )
    assert session_to_wire(changed)["audio"]["input"]["transcription"] == {
        "model": "gpt-transcribe",
        "language": "en",
        "prompt": "parcels",
    }


# --- atomic; every fault has its code and its path -------------------------------------------------


def test_one_fault_discards_the_whole_update() -> None:
    before = session_to_wire(BUSY)
    patch = {"instructions": "new", **audio_in(turn_detection=None, format={"type": "audio/mp3"})}
    assert refused(patch) == ("invalid_value", "session.audio.input.format.type")
    assert session_to_wire(BUSY) == before
    assert patch["instructions"] == "new"


@pytest.mark.parametrize(
    ("patch", "code", "param"),
    [
        ({"speech": 1}, "unknown_parameter", "session.speech"),
        ({"audio": {"inputs": {}}}, "unknown_parameter", "session.audio.inputs"),
        (audio_in(gain=1), "unknown_parameter", "session.audio.input.gain"),
        (audio_out(gain=1), "unknown_parameter", "session.audio.output.gain"),
        (audio_in(format={"type": "audio/pcm", "bits": 8}), "unknown_parameter", "session.audio.input.format.bits"),
        (
            audio_in(transcription={"speaker": "x"}),
            "unknown_parameter",
            "session.audio.input.transcription.speaker",
        ),
        (
            audio_in(turn_detection={"type": "server_vad", "eagerness": "low"}),
            "unknown_parameter",
            "session.audio.input.turn_detection.eagerness",
        ),
        (
            audio_in(turn_detection={"type": "semantic_vad", "threshold": 0.5}),
            "unknown_parameter",
            "session.audio.input.turn_detection.threshold",
        ),
        ({"tools": [TOOL, {**TOOL, "meta": 1}]}, "unknown_parameter", "session.tools[1].meta"),
        ({"tracing": {"color": 1}}, "unknown_parameter", "session.tracing.color"),
        ({"prompt": {"id": "p", "text": ""}}, "unknown_parameter", "session.prompt.text"),
        ({"tools": [{"type": "function"}]}, "missing_required_parameter", "session.tools[0].name"),
        ({"tool_choice": {"type": "function"}}, "missing_required_parameter", "session.tool_choice.name"),
        ({"prompt": {}}, "missing_required_parameter", "session.prompt.id"),
        (
            {"truncation": {"type": "retention_ratio"}},
            "missing_required_parameter",
            "session.truncation.retention_ratio",
        ),
        (audio_out(voice={}), "missing_required_parameter", "session.audio.output.voice.id"),
        ({"max_output_tokens": 0}, "integer_below_min_value", "session.max_output_tokens"),
        (
            audio_in(turn_detection={"prefix_padding_ms": -1}),
            "integer_below_min_value",
            "session.audio.input.turn_detection.prefix_padding_ms",
        ),
        (
            audio_in(turn_detection={"idle_timeout_ms": 4_999}),
            "integer_below_min_value",
            "session.audio.input.turn_detection.idle_timeout_ms",
        ),
        *[
            (audio_in(format={"type": "audio/pcm", "rate": rate}), "invalid_value", "session.audio.input.format.rate")
            for rate in NO_RATES
        ],
        (audio_in(format={"type": "audio/pcmu", "rate": 24_000}), "invalid_value", "session.audio.input.format.rate"),
        (audio_in(format="mp3"), "invalid_value", "session.audio.input.format"),
        (audio_in(turn_detection="server_vad"), "invalid_value", "session.audio.input.turn_detection"),
        (
            audio_in(turn_detection={"type": "none"}),
            "invalid_value",
            "session.audio.input.turn_detection.type",
        ),
        (
            audio_in(turn_detection={"threshold": 1.1}),
            "invalid_value",
            "session.audio.input.turn_detection.threshold",
        ),
        (
            audio_in(turn_detection={"threshold": True}),
            "invalid_value",
            "session.audio.input.turn_detection.threshold",
        ),
        (
            audio_in(turn_detection={"silence_duration_ms": 10.5}),
            "invalid_value",
            "session.audio.input.turn_detection.silence_duration_ms",
        ),
        (
            audio_in(turn_detection={"create_response": 1}),
            "invalid_value",
            "session.audio.input.turn_detection.create_response",
        ),
        (audio_out(speed=1.6), "invalid_value", "session.audio.output.speed"),
        (audio_out(speed=float("nan")), "invalid_value", "session.audio.output.speed"),
        (audio_out(voice=""), "invalid_value", "session.audio.output.voice"),
        (audio_out(voice=3), "invalid_value", "session.audio.output.voice"),
        ({"audio": []}, "invalid_value", "session.audio"),
        ({"audio": {"input": 1}}, "invalid_value", "session.audio.input"),
        ({"instructions": 1}, "invalid_value", "session.instructions"),
        ({"model": 1}, "invalid_value", "session.model"),
        ({"output_modalities": []}, "invalid_value", "session.output_modalities"),
        ({"output_modalities": ["video"]}, "invalid_value", "session.output_modalities[0]"),
        ({"output_modalities": "audio"}, "invalid_value", "session.output_modalities"),
        ({"max_output_tokens": 4_097}, "invalid_value", "session.max_output_tokens"),
        ({"max_output_tokens": "many"}, "invalid_value", "session.max_output_tokens"),
        ({"tools": {}}, "invalid_value", "session.tools"),
        ({"tools": [{"type": "mcp", "server_label": "x"}]}, "invalid_value", "session.tools[0].type"),
        ({"tools": [{"name": "x", "parameters": []}]}, "invalid_value", "session.tools[0].parameters"),
        ({"tool_choice": "any"}, "invalid_value", "session.tool_choice"),
        ({"tool_choice": {"type": "mcp", "server_label": "x"}}, "invalid_value", "session.tool_choice.type"),
        ({"truncation": "always"}, "invalid_value", "session.truncation"),
        (
            {"truncation": {"type": "retention_ratio", "retention_ratio": 2}},
            "invalid_value",
            "session.truncation.retention_ratio",
        ),
        ({"include": ["everything"]}, "invalid_value", "session.include[0]"),
        ({"tracing": "on"}, "invalid_value", "session.tracing"),
        ({"type": "video"}, "invalid_value", "session.type"),
        ({"type": ["realtime"]}, "invalid_value", "session.type"),
    ],
)
def test_a_fault_has_its_code_and_path(patch: dict[str, Any], code: str, param: str) -> None:
    config = msgspec.structs.replace(BUSY, tracing=None)
    assert refused(patch, config) == (code, param)


def test_noise_reduction_from_nothing_needs_its_type() -> None:
    assert refused(audio_in(noise_reduction={}), SessionConfig()) == (
        "missing_required_parameter",
        "session.audio.input.noise_reduction.type",
    )


def test_a_very_long_name_is_cut_in_the_error() -> None:
    with pytest.raises(InvalidEvent) as caught:
        apply_update(BUSY, {"x" * 100_000: 1})
    assert len(caught.value.message) < 1_000
    assert len(caught.value.param or "") < 300


@pytest.mark.parametrize("name", ["reasoning", "parallel_tool_calls", "temperature", "client_secret", "expires_at"])
def test_fields_of_hosted_models_and_read_only_ones_are_ignored(name: str) -> None:
    assert apply_update(BUSY, {name: {"any": "thing"}}) == BUSY


# --- what can't change -----------------------------------------------------------------------------


def test_the_model_stays_and_is_shown_as_it_is() -> None:
    assert apply_update(BUSY, {"model": "gpt-realtime"}) == BUSY
    assert apply_update(BUSY, {"model": "another"}).model == "gpt-realtime"


def test_the_kind_of_session_stays() -> None:
    assert refused({"type": "transcription"}) == ("invalid_parameter", "session.type")
    assert refused({"type": "realtime"}, LISTENER) == ("invalid_parameter", "session.type")


def test_a_missing_type_means_the_kind_that_stands() -> None:
    assert apply_update(LISTENER, audio_in(transcription={"model": "m"})).transcription == Transcription(model="m")


def test_the_voice_stays_once_it_was_heard() -> None:
    assert apply_update(BUSY, audio_out(voice="verse")).voice == "verse"
    assert refused(audio_out(voice="verse"), voice_locked=True) == ("cannot_update_voice", "session.audio.output.voice")


@pytest.mark.parametrize("voice", ["alloy", {"id": "alloy"}])
def test_the_same_voice_may_be_named_again(voice: object) -> None:
    assert apply_update(BUSY, audio_out(voice=voice), voice_locked=True) == BUSY


def test_tracing_stays_once_it_is_on() -> None:
    assert apply_update(BUSY, {"tracing": "auto"}) == BUSY
    assert refused({"tracing": {"workflow_name": "x"}}) == ("invalid_parameter", "session.tracing")
    assert apply_update(SessionConfig(), {"tracing": {"workflow_name": "x"}}).tracing == {"workflow_name": "x"}


def test_the_speed_stays_while_a_response_is_active() -> None:
    assert refused(audio_out(speed=1.5), speed_locked=True) == ("invalid_parameter", "session.audio.output.speed")
    assert apply_update(BUSY, audio_out(speed=1), speed_locked=True) == BUSY


# --- formats and retired spellings -----------------------------------------------------------------


def input_format(config: SessionConfig, wanted: Any) -> tuple[SessionConfig, Any]:
    changed = apply_update(config, audio_in(format=wanted))
    return changed, session_to_wire(changed)["audio"]["input"]["format"]


def test_a_pcm_format_without_rate_is_24_khz() -> None:
    _, shown = input_format(BUSY, {"type": "audio/pcm"})
    assert shown == {"type": "audio/pcm", "rate": 24_000}


@pytest.mark.parametrize("rate", [8_000, 16_000, 24_000, 16_000.0])
def test_pcm_is_taken_at_the_rates_of_devices(rate: float) -> None:
    slow, shown = input_format(SessionConfig(), {"type": "audio/pcm", "rate": rate})
    assert shown == {"type": "audio/pcm", "rate": rate} and slow.input_format.rate_hz == rate
    assert input_format(SessionConfig(), {"rate": rate})[1] == shown
    assert input_format(slow, {})[1] == shown  # absent: as it was
    for again in ({"type": "audio/pcm"}, "audio/pcm", "pcm16"):  # a format by name is the usual one
        assert input_format(slow, again)[1]["rate"] == 24_000
    assert input_format(slow, {"type": "audio/pcmu"})[1] == {"type": "audio/pcmu"}
    assert input_format(slow, {"type": "audio/pcmu", "rate": 8_000})[1] == {"type": "audio/pcmu"}


def test_a_rate_that_is_refused_is_told_the_others() -> None:
    for kind, rates in (("audio/pcm", "8000, 16000, 24000"), ("audio/pcma", "8000")):
        with pytest.raises(InvalidEvent, match=f"Supported values are: {rates}\\."):
            input_format(SessionConfig(), {"type": kind, "rate": 44_100})


def test_no_rate_but_24_khz_is_shown_unasked() -> None:
    for side in session_to_wire(SessionConfig())["audio"].values():
        assert side["format"] == {"type": "audio/pcm", "rate": 24_000}


def test_each_side_has_its_own_format() -> None:
    changed = apply_update(BUSY, {**audio_in(format={"type": "audio/pcmu"})})
    assert (changed.input_format.type, changed.output_format.type) == ("audio/pcmu", "audio/pcm")


def test_audio_and_text_together_mean_audio() -> None:
    for both in (["audio", "text"], ["text", "audio"]):
        assert apply_update(BUSY, {"output_modalities": both}).output_modalities == ("audio",)
    assert apply_update(BUSY, {"output_modalities": ["text"]}).output_modalities == ("text",)


def test_flat_retired_fields_are_understood_on_any_connection() -> None:
    flat = {
        "modalities": ["text"],
        "voice": "verse",
        "speed": 0.9,
        "input_audio_format": "g711_ulaw",
        "output_audio_format": "g711_alaw",
        "input_audio_transcription": {"model": "whisper-1"},
        "input_audio_noise_reduction": {"type": "far_field"},
        "turn_detection": {"type": "semantic_vad"},
        "max_response_output_tokens": 10,
        "tool_choice": {"type": "function", "function": {"name": "look_up"}},
        "temperature": 0.8,
    }
    assert apply_update(SessionConfig(), flat) == SessionConfig(
        output_modalities=("text",),
        voice="verse",
        speed=0.9,
        input_format=AudioFormat(type="audio/pcmu"),
        output_format=AudioFormat(type="audio/pcma"),
        transcription=Transcription(model="whisper-1"),
        noise_reduction=NoiseReduction(type="far_field"),
        turn_detection=TurnDetection(type="semantic_vad"),
        max_output_tokens=10,
        tool_choice={"type": "function", "name": "look_up"},
    )


def test_a_flat_null_still_clears() -> None:
    assert apply_update(BUSY, {"turn_detection": None}).turn_detection is None


def test_the_current_spelling_wins_over_the_retired_one() -> None:
    changed = apply_update(BUSY, {"voice": "old", "modalities": ["text"], "output_modalities": ["audio"]} | audio_out())
    assert (changed.voice, changed.output_modalities) == ("old", ("audio",))
    assert apply_update(BUSY, {"voice": "old", **audio_out(voice="new")}).voice == "new"


# --- transcription sessions ------------------------------------------------------------------------


def test_a_transcription_session_shows_exactly_its_own_keys() -> None:
    session = session_to_wire(LISTENER)
    assert list(session) == ["type", "object", "id", "expires_at", "include", "audio"]
    assert session["object"] == "realtime.transcription_session"
    assert session["audio"] == {
        "input": {
            "format": {"type": "audio/pcm", "rate": 24_000},
            "transcription": None,
            "noise_reduction": None,
            "turn_detection": {
                "type": "server_vad",
                "threshold": 0.5,
                "prefix_padding_ms": 300,
                "silence_duration_ms": 200,
            },
        }
    }


def test_a_realtime_session_shows_exactly_its_own_keys() -> None:
    session = session_to_wire(BUSY)
    assert list(session) == [
        "type",
        "object",
        "id",
        "model",
        "expires_at",
        "output_modalities",
        "instructions",
        "tools",
        "tool_choice",
        "max_output_tokens",
        "tracing",
        "truncation",
        "prompt",
        "include",
        "audio",
    ]
    assert list(session["audio"]["input"]) == ["format", "transcription", "noise_reduction", "turn_detection"]
    assert session["audio"]["output"] == {
        "format": {"type": "audio/pcm", "rate": 24_000},
        "voice": "alloy",
        "speed": 1.0,
    }


def test_a_transcription_session_has_nothing_to_say() -> None:
    assert refused({"instructions": "x"}, LISTENER) == ("unknown_parameter", "session.instructions")
    assert refused(audio_out(voice="x"), LISTENER) == ("unknown_parameter", "session.audio.output")


# --- one response ----------------------------------------------------------------------------------


def test_no_options_mean_the_session() -> None:
    assert resolve_response_options(BUSY, None) is BUSY
    nulls = {"instructions": None, "audio": None, "tools": None, "max_output_tokens": None, "metadata": None}
    for body in ({}, nulls, {"audio": {"output": None}}, {"audio": {"output": {"voice": None, "format": None}}}):
        assert resolve_response_options(BUSY, read_response_options(body)) == BUSY


def test_options_replace_for_one_response_and_leave_the_session_alone() -> None:
    before = session_to_wire(BUSY)
    options = read_response_options(
        {
            "instructions": "",
            "tools": [],
            "tool_choice": "none",
            "output_modalities": ["text"],
            "max_output_tokens": 7,
            "audio": {"output": {"voice": {"id": "verse"}, "format": {"type": "audio/pcmu"}}},
        }
    )
    assert resolve_response_options(BUSY, options) == msgspec.structs.replace(
        BUSY,
        instructions="",
        tools=(),
        tool_choice="none",
        output_modalities=("text",),
        max_output_tokens=7,
        voice="verse",
        output_format=AudioFormat(type="audio/pcmu"),
    )
    assert session_to_wire(BUSY) == before
