"""The chat of any conversation has a shape that every template takes, and is cut so that it fits."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from tests.kit.conversations import conversations
from tests.kit.strict_templates import TEMPLATES

from agentvoicebox.engine.jobs import ChatMessage, Generate
from agentvoicebox.providers.llm.chat import CONTINUE_PROMPT, ChatShape, chat_messages
from agentvoicebox.providers.llm.token_estimate import fixed_tokens, message_tokens
from agentvoicebox.providers.llm.truncation import LEAST_TOKENS, fitted

pytestmark = pytest.mark.requirement("A9")

OTHER_SHAPES = {
    "gemma": ChatShape(system=False, tool_lines=False),
    "llama": ChatShape(parallel_calls=False),
    "devstral": ChatShape(words_with_calls=False),
}
many = settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@many
@given(conversations, st.sampled_from(["", "Your parcel is"]))
@example(Generate("resp_1", "openai", "Be kind.", ()), "")
@example(Generate("resp_1", "openai", "", (ChatMessage("tool", "orphan", call_id="c"),)), "")
def test_every_template_takes_the_chat_of_any_conversation(request: Generate, said: str) -> None:
    if said:
        messages = (*request.messages, ChatMessage("assistant", said))
        request = msgspec.structs.replace(request, messages=messages, is_continuation=True)
    for name, rule in TEMPLATES.items():
        chat = chat_messages(request, OTHER_SHAPES.get(name))
        assert rule({"messages": chat}) == "", (name, chat)
        assert TEMPLATES["openai"]({"messages": chat}) == ""
    if said:
        assert chat[-1]["content"] == CONTINUE_PROMPT and chat[-2]["content"].endswith(said)


@many
@given(conversations)
def test_no_word_of_a_conversation_is_lost_in_its_chat(request: Generate) -> None:
    chat = json.dumps(chat_messages(request), ensure_ascii=False)
    for message in request.messages:
        if message.role in ("user", "system") and message.parts is msgspec.UNSET:
            assert json.dumps(message.text, ensure_ascii=False)[1:-1] in chat


@many
@given(conversations, st.integers(1, 3_000), st.sampled_from(["auto", 0.0, 0.5, 1.0]))
def test_a_prompt_that_is_cut_fits_and_keeps_calls_with_their_results(
    request: Generate, limit: int, ratio: Any
) -> None:
    truncation = ratio if ratio == "auto" else {"type": "retention_ratio", "retention_ratio": ratio}
    request = msgspec.structs.replace(request, truncation=truncation)
    fit = fitted(request, limit)
    kept = fit.request.messages
    assert 0 <= fit.left_out <= len(request.messages) and len(kept) <= len(request.messages) - fit.left_out
    users = [message for message in request.messages if message.role == "user" and (message.text or message.images)]
    if users:
        assert any(message.role == "user" and message.text[:1] == users[-1].text[:1] for message in kept)
    results = {message.call_id for message in request.messages[fit.left_out :] if message.role == "tool"}
    gone = {call.call_id for message in request.messages[: fit.left_out] for call in message.tool_calls}
    stays = {call.call_id for message in request.messages[fit.left_out :] for call in message.tool_calls}
    assert not (gone - stays) & results, "no result without its call"
    room = max(LEAST_TOKENS, limit - fixed_tokens(request.instructions, request.tools))
    least = sum(LEAST_TOKENS + 3 * 1_300 * bool(message.images) + 90 * len(message.tool_calls) + 20 for message in kept)
    assert sum(map(message_tokens, kept)) <= max(room, least)
    assert fitted(msgspec.structs.replace(request, truncation="disabled"), limit).request.messages == request.messages
