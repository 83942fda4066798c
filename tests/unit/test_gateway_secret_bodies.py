"""Bodies of the secret-minting routes: as OpenAI's own types read them, faults named by their path."""

import pytest
from openai.types.beta.realtime import SessionCreateResponse as BetaSession
from openai.types.beta.realtime import TranscriptionSession as BetaTranscriptionSession
from openai.types.realtime import ClientSecretCreateResponse
from tests.kit.kits import AGENTS

from agentvoicebox.errors import ClientError
from agentvoicebox.gateway.admission import secret_bodies
from agentvoicebox.gateway.admission.secret_bodies import Kind, SecretRequest
from agentvoicebox.wire.session_config import SessionConfig


def read(body: object) -> SecretRequest:
    return secret_bodies.read_client_secrets(body, agents=AGENTS, session_id="sess_1")


def read_beta(body: object, kind: Kind = "realtime") -> SecretRequest:
    return secret_bodies.read_beta_session(body, kind=kind, agents=AGENTS, session_id="sess_1")


@pytest.mark.parametrize("body", [None, {}, {"session": None, "expires_after": None}])
def test_everything_is_optional(body: object) -> None:
    asked = read(body)
    answer = secret_bodies.answer_client_secrets(asked, "ek_x", 1_800_000_000)
    assert (asked.seconds, asked.max_sessions) == (600, 1)
    assert asked.session == {"type": "realtime", "model": "delivery"}
    assert answer["session"]["expires_at"] == 0 and answer["session"]["id"] == "sess_1"
    assert ClientSecretCreateResponse.model_validate(answer, strict=True).session.type == "realtime"


def test_the_answer_shows_the_whole_session_that_will_be() -> None:
    session = {
        "type": "realtime",
        "model": "gpt-realtime",
        "instructions": "Hi.",
        "audio": {"output": {"voice": "cedar"}},
    }
    asked = read({"expires_after": {"anchor": "created_at", "seconds": 7200}, "session": session})
    answer = secret_bodies.answer_client_secrets(asked, "ek_x", 1)
    assert asked.seconds == 7200 and asked.session == session
    shown = answer["session"]
    assert (shown["model"], shown["instructions"], shown["audio"]["output"]["voice"]) == (
        "gpt-realtime",
        "Hi.",
        "cedar",
    )
    opened = secret_bodies.begin_with(
        AGENTS.default.session(session_id="sess_2", model="gpt-realtime", expires_at=9), asked.session
    )
    assert (opened.id, opened.expires_at, opened.instructions) == ("sess_2", 9, "Hi.")


def test_a_transcription_secret_is_for_a_transcription_session_alone() -> None:
    asked = read({"session": {"type": "transcription", "audio": {"input": {"transcription": {"model": "whisper-1"}}}}})
    answer = secret_bodies.answer_client_secrets(asked, "ek_x", 1)
    assert ClientSecretCreateResponse.model_validate(answer, strict=True).session.type == "transcription"
    secret_bodies.begin_with(SessionConfig(type="transcription"), asked.session)
    with pytest.raises(ClientError):
        secret_bodies.begin_with(SessionConfig(), asked.session)


def test_beta_bodies_are_flat_and_carry_the_secret() -> None:
    asked = read_beta(
        {"model": "gpt-4o-realtime-preview", "voice": "verse", "client_secret": {"expires_after": {"seconds": 60}}}
    )
    answer = secret_bodies.answer_beta_session(asked, "ek_x", 5)
    assert asked.seconds == 60 and answer["voice"] == "verse" and answer["modalities"] == ["audio", "text"]
    assert BetaSession.model_validate(answer).client_secret.value == "ek_x"
    asked = read_beta({"client_secret": {"expires_at": {"anchor": "created_at", "seconds": 30}}}, "transcription")
    answer = secret_bodies.answer_beta_session(asked, "ek_x", 5)
    assert asked.seconds == 30 and BetaTranscriptionSession.model_validate(answer).client_secret.value == "ek_x"
    assert read_beta({}, "transcription").seconds == 600


@pytest.mark.parametrize(
    ("body", "code", "param"),
    [
        ([], "invalid_value", "body"),
        ({"sesion": {}}, "unknown_parameter", "sesion"),
        ({"session": 3}, "invalid_value", "session"),
        ({"session": {"type": "video"}}, "invalid_value", "session.type"),
        ({"session": {"model": "nobody"}}, "invalid_model", "session.model"),
        ({"session": {"model": 4}}, "invalid_value", "session.model"),
        ({"session": {"colour": "red"}}, "unknown_parameter", "session.colour"),
        ({"session": {"audio": {"output": {"speed": 9}}}}, None, "session.audio.output.speed"),
        ({"expires_after": {"seconds": 9}}, "integer_below_min_value", "expires_after.seconds"),
        ({"expires_after": {"seconds": 7201}}, "integer_above_max_value", "expires_after.seconds"),
        ({"expires_after": {"seconds": True}}, "invalid_value", "expires_after.seconds"),
        ({"expires_after": {"anchor": "now"}}, "invalid_value", "expires_after.anchor"),
        ({"expires_after": {"minutes": 1}}, "unknown_parameter", "expires_after.minutes"),
    ],
)
def test_a_fault_is_named_by_its_path(body: object, code: str | None, param: str) -> None:
    with pytest.raises(ClientError) as raised:
        read(body)
    assert raised.value.param == param and (code is None or raised.value.code == code)
