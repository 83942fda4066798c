"""The deterministic agent as a language model, and the shape of chats for real ones."""

from tests.kit.kits import DELIVERY

from agentvoicebox.engine.inputs import Generated, TextDelta, ToolCallDelta
from agentvoicebox.engine.jobs import ChatMessage, Generate, ToolCall, ToolSpec
from agentvoicebox.errors import ProviderUnavailable
from agentvoicebox.providers.llm.chat import NO_RESULT, chat_messages, chat_tool_choice, chat_tools
from agentvoicebox.providers.llm.registry import LanguageModels
from agentvoicebox_delivery.dialogue import phrases
from agentvoicebox_delivery.language_models.dialogue import Delta, DialogueLlm
from agentvoicebox_delivery.parcels import tool_schema

HANG_UP = ToolSpec("hang_up")
TOOL = ToolSpec(tool_schema.NAME, "", tool_schema.PARAMETERS)


async def written(request: Generate) -> list[Delta]:
    return [delta async for delta in DialogueLlm().generate(request, "job_1")]


def ask(*lines: ChatMessage, **kwargs: object) -> Generate:
    return Generate("resp_1", "dialogue", "", lines, **kwargs)  # type: ignore[arg-type]


async def test_a_line_comes_word_by_word_and_ends_once() -> None:
    got = await written(ask(tools=(TOOL,)))
    assert "".join(delta.text for delta in got if isinstance(delta, TextDelta)) == phrases.GREETING
    assert len(got) == len(phrases.GREETING.split()) + 1
    assert isinstance(got[-1], Generated) and got[-1].finish_reason == "stop" and got[-1].output_tokens > 0


async def test_a_tool_call_comes_whole() -> None:
    got = await written(ask(ChatMessage("user", "PKG004"), tools=(TOOL,)))
    assert got[0] == ToolCallDelta("job_1", 0, tool_schema.NAME, '{"tracking_id":"PKG004","heard":["PKG004"]}')
    assert isinstance(got[1], Generated) and got[1].finish_reason == "tool_calls"


async def test_tools_that_may_not_be_called_are_not() -> None:
    for kwargs in ({"tools": (TOOL,), "tool_choice": "none"}, {"tools": ()}):
        got = await written(ask(ChatMessage("user", "PKG004"), **kwargs))
        assert not any(isinstance(delta, ToolCallDelta) for delta in got)


async def test_a_limit_on_the_answer_holds() -> None:
    got = await written(ask(tools=(TOOL,), max_output_tokens=2))
    assert len(got) == 3 and isinstance(got[-1], Generated) and got[-1].finish_reason == "length"


def goodbye(**kwargs: object) -> Generate:
    return ask(ChatMessage("user", "Thanks, goodbye."), **kwargs)


async def test_the_last_line_of_a_call_hangs_up_where_the_client_can() -> None:
    got = await written(goodbye(tools=(HANG_UP, TOOL)))
    assert "".join(delta.text for delta in got if isinstance(delta, TextDelta)) == phrases.GOODBYE
    assert [delta for delta in got if isinstance(delta, ToolCallDelta)] == [ToolCallDelta("job_1", 0, "hang_up", "{}")]
    assert isinstance(got[-1], Generated) and got[-1].finish_reason == "tool_calls"


async def test_a_call_whose_client_can_not_hang_up_is_as_it_was() -> None:
    before = await written(goodbye(tools=(TOOL,)))
    assert [type(delta) for delta in before] == [TextDelta] * 5 + [Generated]
    assert before[-1] == Generated("job_1", "stop", before[-1].input_tokens, 5)  # type: ignore[union-attr]
    for kwargs in ({"tool_choice": "none"}, {"tool_choice": f"function:{tool_schema.NAME}"}):
        assert await written(goodbye(tools=(HANG_UP, TOOL), **kwargs)) == before
    assert not any(isinstance(d, ToolCallDelta) for d in await written(goodbye(tools=(HANG_UP,), max_output_tokens=2)))


async def test_a_caller_who_asks_for_a_person_is_put_through_where_the_line_can() -> None:
    transfer = ToolSpec("transfer_call")
    person = ask(ChatMessage("user", "I want to speak to a person."), tools=(HANG_UP, transfer, TOOL))
    got = await written(person)
    assert "".join(delta.text for delta in got if isinstance(delta, TextDelta)) == phrases.TRANSFERRED
    assert [each for each in got if isinstance(each, ToolCallDelta)] == [
        ToolCallDelta("job_1", 0, "transfer_call", "{}")
    ]
    can_not = await written(ask(*person.messages, tools=(HANG_UP, TOOL)))
    assert "".join(delta.text for delta in can_not if isinstance(delta, TextDelta)).startswith(phrases.NO_HUMAN)
    own = await written(ask(*person.messages, tools=(transfer, TOOL, ToolSpec("hand_over"))))
    assert isinstance(own[0], ToolCallDelta) and own[0].name == "hand_over"


async def test_who_hangs_up_is_only_the_last_line() -> None:
    for text in ("Hello?", "Where is my parcel?", "Are you a robot?", "What's the weather?"):
        got = await written(ask(ChatMessage("user", text), tools=(HANG_UP, TOOL)))
        assert not any(isinstance(delta, ToolCallDelta) for delta in got), text


async def test_a_caller_who_says_more_than_goodbye_is_answered_as_before() -> None:
    call = ToolCall("c1", "hang_up", "{}")
    said = (ChatMessage("user", "Goodbye."), ChatMessage("assistant", phrases.GOODBYE))
    answered = (*said[:1], ChatMessage("assistant", phrases.GOODBYE, (call,)), ChatMessage("tool", "done", (), "c1"))
    more = ChatMessage("user", "Wait, where is P K G 0 0 4?")
    got = await written(ask(*answered, more, tools=(HANG_UP, TOOL)))
    assert got[:-1] == (await written(ask(*said, more, tools=(TOOL,))))[:-1]  # but for the tokens read


async def test_the_same_request_gives_the_same_stream() -> None:
    request = ask(ChatMessage("user", "O R D thirty one twenty one"), tools=(TOOL,))
    assert await written(request) == await written(request)


def test_every_call_in_a_chat_has_its_answer_right_after_it() -> None:
    call, lost = ToolCall("c1", "get", '{"a":1}'), ToolCall("c2", "get", "{half")
    request = Generate(
        "resp_1", "openai", "Be kind.",
        (
            ChatMessage("user", "hi"),
            ChatMessage("assistant", "", (call, lost)),
            ChatMessage("user", "hello?"),
            ChatMessage("tool", "found", call_id="c1"),
            ChatMessage("tool", "orphan", call_id="c9"),
        ),
    )  # fmt: skip
    chat = chat_messages(request)
    assert [line["role"] for line in chat] == ["system", "user", "assistant", "tool", "tool", "assistant", "user"]
    assert [line["content"] for line in chat[3:5]] == ["found", NO_RESULT]
    assert [each["function"]["arguments"] for each in chat[2]["tool_calls"]] == ['{"a":1}', "{}"]
    assert "hello?" in chat[-1]["content"] and "orphan" in chat[-1]["content"]


def test_empty_lines_are_left_out_and_images_go_along() -> None:
    image = "data:image/png;base64,AA=="
    chat = chat_messages(ask(ChatMessage("assistant", ""), ChatMessage("user", "what is it?", images=(image,))))
    assert len(chat) == 1
    assert [part["type"] for part in chat[0]["content"]] == ["text", "image_url"]


def test_tools_and_choices_in_the_chats_own_form() -> None:
    assert chat_tools((ToolSpec("f"),))[0]["function"]["parameters"] == {"type": "object", "properties": {}}
    assert chat_tool_choice("function:f") == {"type": "function", "function": {"name": "f"}}
    assert chat_tool_choice("required") == "required"


def test_names_of_language_models_become_providers() -> None:
    models = LanguageModels(deterministic=DELIVERY.language_models())
    assert models.get("dialogue").is_deterministic
    assert models.get("dialogue") is models.get("dialogue")
    for name, hint in (("openai", "AVB_LLM"), ("gpt-9", "there are: dialogue"), ("", "no language model")):
        try:
            models.get(name)
            raise AssertionError(f"{name!r} should not be there")
        except ProviderUnavailable as error:
            assert hint in error.message
