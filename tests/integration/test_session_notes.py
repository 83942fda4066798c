"""What is echoed is in force; what is not is named in `notes` beside the settings, or refused (protocol page §2)."""

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from openai.types.realtime import SessionCreatedEvent, SessionUpdatedEvent
from tests.kit.client import Client, calling
from tests.kit.gateway import Gateway, Workers, gateway
from tests.kit.resuming_client import reconnected, return_query
from websockets.asyncio.client import connect

from agentvoicebox.broker.redis_streams import RedisBroker
from agentvoicebox.gateway.admission.session_support import MOST_NOTED, SessionSupport
from agentvoicebox.wire.session_note import NOTES

pytestmark = pytest.mark.requirement("A4.2")

VOICES = ("joe", "alloy", "marin")
SUPPORT = SessionSupport(VOICES, ("en", "de"), has_spoken_prompts=False, rule_models=("dialogue",))
FLORIST = "You are a florist."
TOOL = {"type": "function", "name": "get_price", "description": "", "parameters": {"type": "object"}}
MCP = {"type": "mcp", "server_label": "shop", "server_url": "https://mcp.example/sse", "require_approval": "never"}
LANGUAGE = "session.audio.input.transcription.language"
VOICE = "session.audio.output.voice"


@pytest.fixture
async def near(redis_broker: RedisBroker, workers: Workers) -> AsyncIterator[Gateway]:
    """A gateway whose recogniser knows two languages, and that has three voices."""
    async with gateway(redis_broker, support=SUPPORT) as served:
        yield served


def notes(session: dict[str, Any]) -> list[tuple[str, str]]:
    """Code and field of each note; each has a message for people."""
    found = session.get("notes", [])
    for note in found:
        assert sorted(note) == ["code", "message", "param"] and note["message"].endswith("."), note
        assert note["code"] in NOTES
    return [(note["code"], note["param"]) for note in found]


def heard(**transcription: Any) -> dict[str, Any]:
    return {"audio": {"input": {"transcription": {"model": "whisper-1", **transcription}}}}


def spoken(voice: Any) -> dict[str, Any]:
    return {"audio": {"output": {"voice": voice}}}


RULES: list[tuple[dict[str, Any], list[tuple[str, str]]]] = [
    ({"instructions": FLORIST}, [("instructions_not_followed", "session.instructions")]),
    ({"tools": [TOOL]}, [("tools_not_used", "session.tools")]),
    ({"instructions": "", "tools": []}, []),
    ({"turn_detection": {"type": "server_vad"}}, []),
]
ANY: list[tuple[dict[str, Any], list[tuple[str, str]]]] = [
    ({"tools": [MCP]}, [("mcp_not_served", "session.tools[0]")]),
    ({"tool_choice": {"type": "mcp", "server_label": "shop"}}, [("mcp_not_served", "session.tool_choice")]),
    (heard(language="fr"), [("language_not_known", LANGUAGE)]),
    (heard(language="fr-CA"), [("language_not_known", LANGUAGE)]),
    (heard(language="klingon"), [("language_not_known", LANGUAGE)]),
    ({"input_audio_transcription": {"language": "fr"}}, [("language_not_known", LANGUAGE)]),  # beta's spelling
    (heard(language="de-AT"), []),
    (heard(language="EN"), []),
    (heard(language=None), []),
    (heard(prompt="parcels"), [("no_effect", "session.audio.input.transcription.prompt")]),
    ({"prompt": {"id": "pmpt_1"}}, [("no_effect", "session.prompt")]),
    ({"tracing": "auto"}, [("no_effect", "session.tracing")]),
    ({"temperature": 0.8}, [("no_effect", "session.temperature")]),
    (
        {"audio": {"input": {"noise_reduction": {"type": "near_field"}}}},
        [("no_effect", "session.audio.input.noise_reduction")],
    ),
    ({"max_output_tokens": 100, "speed": 1.1}, []),
]


@pytest.mark.parametrize(("update", "expected"), RULES + ANY, ids=lambda value: json.dumps(value)[:40])
async def test_what_is_not_in_force_is_noted(near: Gateway, update: dict[str, Any], expected: Any) -> None:
    async with calling(near.url("model=delivery")) as client:
        assert notes(client.events[0]["session"]) == []
        assert notes(await client.use(**update)) == expected
        SessionUpdatedEvent.model_validate(client.events[-1])


@pytest.mark.parametrize(("update", "_"), RULES, ids=lambda value: json.dumps(value)[:40])
async def test_an_agent_with_a_language_model_takes_instructions_and_tools(
    near: Gateway, update: dict[str, Any], _: Any
) -> None:
    async with calling(near.url("model=assistant")) as client:
        assert notes(await client.use(**update)) == []


@pytest.mark.parametrize(("update", "expected"), ANY, ids=lambda value: json.dumps(value)[:40])
async def test_the_rest_is_noted_with_any_agent(near: Gateway, update: dict[str, Any], expected: Any) -> None:
    async with calling(near.url("model=assistant")) as client:
        assert notes(await client.use(**update)) == expected


async def test_an_mcp_tool_is_left_out_and_everything_beside_it_is_applied(near: Gateway, workers: Workers) -> None:
    async with calling(near.url("model=assistant")) as client:
        session = await client.use(
            instructions=FLORIST, tools=[MCP, TOOL, MCP | {"server_label": "b"}], output_modalities=["text"]
        )
        assert (session["instructions"], session["tools"], session["output_modalities"]) == (FLORIST, [TOOL], ["text"])
        assert notes(session) == [("mcp_not_served", "session.tools[0]"), ("mcp_not_served", "session.tools[2]")]
        await client.send("response.create")
        assert (await client.until("response.done"))["response"]["status"] == "completed"
        assert notes(await client.use(tools=[TOOL])) == []
    assert client.of("error") == []


async def test_notes_are_few_however_many_tools_are_left_out(near: Gateway) -> None:
    async with calling(near.url("model=assistant")) as client:
        assert len(notes(await client.use(tools=[MCP] * 128))) == MOST_NOTED


async def test_a_note_stays_until_its_field_is_set_again(near: Gateway) -> None:
    async with calling(near.url("model=delivery")) as client:
        both = [("instructions_not_followed", "session.instructions"), ("language_not_known", LANGUAGE)]
        assert notes(await client.use(instructions=FLORIST, **heard(language="fr"))) == both
        whole = await client.use(output_modalities=["text"])
        assert notes(whole) == both
        assert notes(await client.use(**whole)) == both  # sent back as it was shown
        assert notes(await client.use(**heard(language="de"))) == both[:1]
        assert notes(await client.use(instructions="")) == []
        assert notes(await client.use(**heard(language="fr"))) == both[1:]
        assert notes(await client.use(audio={"input": {"transcription": None}})) == []
        assert "notes" not in client.events[-1]["session"]


async def test_an_update_that_is_refused_changes_no_note(near: Gateway) -> None:
    async with calling(near.url("model=delivery")) as client:
        await client.send("session.update", session={"instructions": FLORIST, "speed": 9})
        assert (await client.until("error"))["error"]["param"] == "session.audio.output.speed"
        assert notes(await client.use()) == []


BAD_VOICES = ["no-such", "Alloy", "marin ", {"id": "no-such"}, "x" * 64]


@pytest.mark.parametrize("voice", BAD_VOICES, ids=str)
@pytest.mark.parametrize("flat", [False, True])
async def test_an_unknown_voice_is_refused_with_the_list(near: Gateway, voice: Any, flat: bool) -> None:
    async with calling(near.url("model=delivery")) as client:
        session = {"voice": voice} if flat else spoken(voice)
        await client.send("session.update", session=session | {"instructions": FLORIST}, event_id="mine")
        error = (await client.until("error"))["error"]
        assert (error["code"], error["event_id"]) == ("invalid_value", "mine")
        assert error["param"] == (f"{VOICE}.id" if isinstance(voice, dict) else VOICE)
        assert "joe, alloy, marin" in error["message"]
        now = await client.use()
        assert now["audio"]["output"]["voice"] == "alloy" and now["instructions"] != FLORIST
        for good in ("marin", {"id": "joe"}):
            assert (await client.use(**spoken(good)))["audio"]["output"]["voice"] in VOICES


@pytest.mark.parametrize("voice", BAD_VOICES, ids=str)
async def test_an_unknown_voice_of_one_response_is_refused_too(near: Gateway, voice: Any) -> None:
    async with calling(near.url("model=delivery")) as client:
        await client.send("response.create", response=spoken(voice))
        error = (await client.until("error"))["error"]
        assert error["code"] == "invalid_value" and error["param"].startswith("response.audio.output.voice")
        await client.send("response.create", response=spoken("joe"))
        done = (await client.until("response.done"))["response"]
        assert done["audio"]["output"]["voice"] == "joe"


async def test_an_agents_voice_that_is_not_installed_is_noted_until_another_is_chosen(
    redis_broker: RedisBroker,
) -> None:
    support = SessionSupport(("joe", "marin"))
    async with gateway(redis_broker, support=support) as served, calling(served.url("model=delivery")) as client:
        assert notes(client.events[0]["session"]) == [("voice_not_installed", VOICE)]
        SessionCreatedEvent.model_validate(client.events[0])
        assert notes(await client.use(**spoken("joe"))) == []


# -- sessions of secrets ---------------------------------------------------------------------------------------------


async def minted(served: Gateway, **session: Any) -> httpx.Response:
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{served.port}", trust_env=False) as http:
        body = {"session": {"type": "realtime", "model": "delivery", **session}}
        return await http.post("/v1/realtime/client_secrets", json=body)


async def test_a_secrets_session_is_noted_when_it_is_minted_and_when_it_opens(near: Gateway) -> None:
    answer = (await minted(near, instructions=FLORIST, tools=[MCP], **heard(language="fr"))).json()
    expected = [
        ("mcp_not_served", "session.tools[0]"),
        ("instructions_not_followed", "session.instructions"),
        ("language_not_known", LANGUAGE),
    ]
    assert notes(answer["session"]) == expected and answer["session"]["tools"] == []
    headers = {"Authorization": f"Bearer {answer['value']}"}
    async with calling(near.url("model=delivery"), additional_headers=headers) as client:
        assert notes(client.events[0]["session"]) == expected
        assert client.events[0]["session"]["tools"] == []
        assert notes(await client.use()) == expected


async def test_a_secret_with_an_unknown_voice_is_not_minted(near: Gateway) -> None:
    answer = await minted(near, **spoken("no-such"))
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["param"]) == (400, "invalid_value", VOICE)
    assert "joe, alloy, marin" in error["message"]


async def test_a_beta_client_sees_the_notes_in_its_flat_session(near: Gateway) -> None:
    async with connect(near.url("model=delivery"), additional_headers={"OpenAI-Beta": "realtime=v1"}) as ws:
        client = Client(ws)
        await client.until("session.created")
        session = await client.use(instructions=FLORIST)
        assert notes(session) == [("instructions_not_followed", "session.instructions")]


async def test_a_transcription_session_is_noted_too(near: Gateway) -> None:
    async with calling(near.url("intent=transcription")) as client:
        assert notes(await client.use(type="transcription", **heard(language="fr"))) == [
            ("language_not_known", LANGUAGE)
        ]


# -- later and elsewhere ---------------------------------------------------------------------------------------------


async def test_notes_survive_a_change_of_the_gateway(near: Gateway, redis_broker: RedisBroker) -> None:
    async with connect(near.url("model=delivery&resume=1")) as ws:
        client = Client(ws)
        await client.until("session.created")
        expected = notes(await client.use(instructions=FLORIST, **heard(language="fr")))
        ws.transport.abort()
    # The other gateway knows every language: what was decided stays as it was.
    async with gateway(redis_broker) as other, reconnected(other.url(return_query(client)), client) as again:
        assert notes(await again.use()) == expected != []


async def test_the_log_says_once_that_a_session_gets_less_than_it_asked_for(
    near: Gateway, capsys: pytest.CaptureFixture[str]
) -> None:
    async with calling(near.url("model=delivery")) as client:
        await client.use(tracing="auto")
        assert "not in force" not in capsys.readouterr().out
        for _ in range(3):
            await client.use(instructions=FLORIST, tools=[MCP])
        said = capsys.readouterr().out
    assert said.count("not in force") == 1
    assert "instructions_not_followed" in said and "mcp_not_served" in said
    assert FLORIST not in said and "mcp.example" not in said
