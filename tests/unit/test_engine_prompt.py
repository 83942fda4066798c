"""What a language model's job has of the session: truncation, options, and text and images in their order."""

from typing import Any

import msgspec
import pytest
from msgspec import UNSET
from tests.kit.conversation import Talk

from agentvoicebox.engine import effects as fx
from agentvoicebox.engine import rules
from agentvoicebox.engine.inputs import ClientEventReceived, Opened
from agentvoicebox.engine.jobs import ChatPart, Generate
from agentvoicebox.engine.session import Engine
from agentvoicebox.providers.llm.chat import chat_messages
from agentvoicebox.wire import client_events as ce
from agentvoicebox.wire.items import InputAudio, InputImage, InputText, MessageItem, Part

IMAGES = tuple(f"data:image/png;base64,{each}A==" for each in "AB")


def asked(talk: Talk, *content: Part) -> Generate:
    talk.client(ce.ConversationItemCreate(item=MessageItem(role="user", content=content)))
    talk.client(ce.ResponseCreate())
    request = talk.open_job("generate").request
    assert isinstance(request, Generate)
    return request


def test_text_and_images_reach_the_model_in_their_order_with_their_detail() -> None:
    request = asked(
        Talk(modality="text"),
        InputText(text="Before:"), InputImage(image_url=IMAGES[0], detail="low"),
        InputText(text="After:"), InputImage(image_url=IMAGES[1]),
    )  # fmt: skip
    line = request.messages[0]
    assert line.images == IMAGES and line.parts == (
        ChatPart("Before:"), ChatPart(image=0, detail="low"), ChatPart("After:"), ChatPart(image=1),
    )  # fmt: skip
    assert chat_messages(request)[-1]["content"] == [
        {"type": "text", "text": "Before:"},
        {"type": "image_url", "image_url": {"url": IMAGES[0], "detail": "low"}},
        {"type": "text", "text": "After:"},
        {"type": "image_url", "image_url": {"url": IMAGES[1]}},
    ]


def test_a_line_without_images_is_stored_as_before() -> None:
    request = asked(Talk(modality="text"), InputText(text="Hello"))
    assert request.messages[0].parts is UNSET and request.truncation is UNSET and request.options is UNSET
    assert b"parts" not in msgspec.msgpack.encode(request) and b"truncation" not in msgspec.msgpack.encode(request)


@pytest.mark.parametrize(
    ("content", "is_typed"),
    [
        ((InputText(text="PKG002"),), True),
        ((InputText(text="What is this?"), InputImage(image_url=IMAGES[0])), True),
        ((InputAudio(transcript="P K G zero zero two"),), UNSET),
        ((InputText(text="Listen:"), InputAudio(transcript="P K G zero zero two")), UNSET),
    ],
)
def test_a_model_reads_whether_a_line_was_typed(content: tuple[Part, ...], is_typed: object) -> None:
    assert asked(Talk(modality="text"), *content).messages[0].is_typed is is_typed


def test_a_line_heard_by_the_recogniser_and_our_own_lines_are_not_typed() -> None:
    talk = Talk(modality="text")
    talk.speech(0, 16_000, "P K G zero zero two")
    talk.model("I heard that.")
    lines = asked(talk, InputText(text="PKG002")).messages
    assert [line.is_typed for line in lines] == [UNSET, UNSET, True]


@pytest.mark.parametrize("version", [rules.FIRST, 2])
def test_a_session_of_former_rules_asks_a_model_byte_for_byte_as_it_did(version: int) -> None:
    request = asked(Talk(modality="text", rule_version=version), InputText(text="PKG002"))
    assert b"is_typed" not in msgspec.msgpack.encode(request)


@pytest.mark.parametrize("truncation", ["disabled", {"type": "retention_ratio", "retention_ratio": 0.5}])
def test_the_sessions_truncation_and_the_agents_options_are_in_the_job(truncation: Any) -> None:
    opened = Talk(modality="text").opened
    agent = msgspec.structs.replace(opened.agent, language_model_options={"temperature": 0.2})
    config = msgspec.structs.replace(opened.config, truncation=truncation)
    engine, _ = Engine.open(Opened(config, agent, opened.seed, opened.wall_s, opened.rules), 0.0)
    jobs = [
        each.request
        for each in engine.receive(ClientEventReceived(ce.ResponseCreate(), 0), 0.0)
        if isinstance(each, fx.OpenJob)
    ]
    assert isinstance(jobs[0], Generate)
    assert (jobs[0].truncation, jobs[0].options) == (truncation, {"temperature": 0.2})
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(jobs[0]), type=Generate) == jobs[0]
