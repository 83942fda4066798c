"""The AsyncAPI document holds every event: the codec reads its examples, and its schemas take what the codec takes."""

import json
import random
from typing import get_args

import msgspec
import pytest
from tests.kit.event_schemas import faults_of
from tests.kit.event_specimens import KnownIds, Specimens
from tests.kit.reference import asyncapi, client_events, server_events
from tests.kit.reference.event_examples import CLIENT, client_example, server_examples
from tests.kit.reference.shapes import tag_of

from agentvoicebox.errors import InvalidEvent
from agentvoicebox.wire.audio_config import AudioFormat, NoiseReduction, Transcription, TurnDetection
from agentvoicebox.wire.client_events import ClientEvent
from agentvoicebox.wire.codec import decode_client, encode_server
from agentvoicebox.wire.server_events import ServerEvent, SessionCreated
from agentvoicebox.wire.session_config import SessionConfig, session_to_wire
from agentvoicebox.wire.session_note import SessionNote

pytestmark = pytest.mark.requirement("A18")

MESSAGES = asyncapi.document()["components"]["messages"]
SERVER = server_examples()
SCHEMAS = {
    kind: asyncapi.document()["components"]["schemas"][each["payload"]["$ref"].rpartition("/")[2]]
    for kind, each in MESSAGES.items()
}
SPECIMENS = 600


def test_the_document_has_every_event_of_the_codec_with_an_example() -> None:
    known = {tag_of(kind) for kind in (*get_args(ClientEvent), *get_args(ServerEvent))}
    assert MESSAGES.keys() == known
    assert CLIENT.keys() | SERVER.keys() == known
    assert [len(each["examples"]) for each in MESSAGES.values()] == [1] * len(known)


@pytest.mark.parametrize("kind", CLIENT)
def test_an_example_of_a_client_is_read_by_the_codec_and_fits_its_schema(kind: str) -> None:
    example = client_example(kind)
    event = decode_client(json.dumps(example))
    assert type(event).__struct_config__.tag == kind
    assert faults_of(example) == []


@pytest.mark.parametrize("kind", SERVER)
def test_an_example_of_the_server_is_what_the_codec_writes_and_fits_its_schema(kind: str) -> None:
    example = SERVER[kind]
    event = msgspec.convert(example, type=ServerEvent, strict=True)
    assert json.loads(encode_server(event)) == example
    assert faults_of(example) == []


@pytest.mark.parametrize("kind", MESSAGES)
def test_an_example_that_is_damaged_no_longer_fits(kind: str) -> None:
    example = MESSAGES[kind]["examples"][0]["payload"]
    assert faults_of({**example, "event_id": 5}) != []
    lacking = {name: value for name, value in example.items() if name == "type"}
    assert (faults_of(lacking) != []) == (len(SCHEMAS[kind]["required"]) > 1)


def test_what_the_codec_accepts_fits_its_schema() -> None:
    specimens, accepted = Specimens(random.Random(7), KnownIds()), 0
    for _ in range(SPECIMENS):
        event = specimens.make()
        try:
            decode_client(json.dumps(event))
        except InvalidEvent:
            continue
        accepted += 1
        assert faults_of(event) == [], event
    assert accepted > SPECIMENS / 2


@pytest.mark.parametrize(
    "config",
    [
        SessionConfig(),
        SessionConfig(turn_detection=None, max_output_tokens=9, tool_choice={"type": "function", "name": "look"}),
        SessionConfig(turn_detection=TurnDetection(type="semantic_vad"), input_format=AudioFormat(type="audio/pcmu")),
        SessionConfig(
            tools=({"type": "function", "name": "look", "parameters": {}},),
            transcription=Transcription(language="en"),
            noise_reduction=NoiseReduction(type="near_field", strength=0.5),
            truncation={"type": "retention_ratio", "retention_ratio": 0.5},
            tracing="auto",
            prompt={"id": "p"},
        ),
        SessionConfig(type="transcription", transcription=Transcription()),
        SessionConfig(type="transcription", turn_detection=TurnDetection(type="semantic_vad")),
    ],
)
def test_every_session_that_can_be_shown_fits_its_schema(config: SessionConfig) -> None:
    shown = session_to_wire(config, ["store_unavailable"], [SessionNote("no_effect", "It has none.", "session.prompt")])
    created = SessionCreated(event_id="event_1", session=shown, agentvoicebox={"resume_token": "t"})
    assert faults_of(json.loads(encode_server(created))) == []


def test_a_session_with_a_further_key_does_not_fit() -> None:
    session = {**session_to_wire(SessionConfig()), "more": 1}
    assert faults_of({"type": "session.created", "event_id": "event_1", "session": session}) != []


def test_what_is_ours_is_marked() -> None:
    marked = {kind for kind, each in MESSAGES.items() if asyncapi.EXTENSION in each}
    assert marked == {kind for kind in MESSAGES if kind.startswith("agentvoicebox.")} != set()
    query = asyncapi.document()["channels"]["realtime"]["bindings"]["ws"]["query"]["properties"]
    assert {name for name, each in query.items() if asyncapi.EXTENSION not in each} == {"model", "intent"}
    schemas = asyncapi.document()["components"]["schemas"]
    assert all(schemas["RealtimeSession"]["properties"][name][asyncapi.EXTENSION] for name in ("degraded", "notes"))


def test_every_field_of_an_event_is_explained() -> None:
    for kind in (*client_events.EVENTS, *server_events.EVENTS):
        for name, field in asyncapi.document()["components"]["schemas"][kind.__name__]["properties"].items():
            assert name in ("type", "event_id") or field.keys() & {"description", "$ref"}, (kind, name)
