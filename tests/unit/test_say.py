"""`say`: a language model names acts, the builder words them, and nothing else than text reaches the client."""

import json
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.kit.grounding_corpus import day_of, facts_of, scenes
from tests.kit.scripted_llm import Line, ScriptedCall, ScriptedLlm

from agentvoicebox.engine.inputs import Generated, TextDelta, ToolCallDelta
from agentvoicebox.engine.jobs import Generate, ToolSpec
from agentvoicebox_delivery.grounding.grounder import check_whole
from agentvoicebox_delivery.language_models.grounded import Delta, GroundedLlm
from agentvoicebox_delivery.language_models.say import NAME, PARAMETERS, spoken
from agentvoicebox_delivery.parcels import tool_schema

pytestmark = pytest.mark.requirement("C3")


def request(scene: str) -> Generate:
    return Generate("resp_1", "openai/x", "Be true.", scenes()[scene], (ToolSpec(tool_schema.NAME),))


def said_by(**arguments: Any) -> ScriptedCall:
    return ScriptedCall(NAME, *(json.dumps(arguments)[place : place + 7] for place in range(0, 4_000, 7)))


async def answer(scene: str, *parts: Any, asked: Generate | None = None) -> list[Delta]:
    line: Line = parts
    day = day_of(scene)
    now_s = datetime(day.year, day.month, day.day, 12, tzinfo=UTC).timestamp()
    llm = GroundedLlm(ScriptedLlm(line), lambda: now_s)
    return [delta async for delta in llm.generate(asked or request(scene), "job_1")]


def text_of(deltas: list[Delta]) -> str:
    return "".join(delta.text for delta in deltas if isinstance(delta, TextDelta)).strip()


async def test_acts_become_speech_and_no_call_is_visible() -> None:
    call = said_by(before="Thanks for waiting!", acts=[{"act": "status"}, {"act": "arrival"}], after="Anything else?")
    deltas = await answer("hotline_way", call)
    assert text_of(deltas) == (
        "Thanks for waiting! Your parcel ending in zero four one seven is on its way."
        " It should arrive on Saturday. Anything else?"
    )
    assert not any(isinstance(delta, ToolCallDelta) for delta in deltas)
    assert isinstance(deltas[-1], Generated) and deltas[-1].finish_reason == "stop"


@pytest.mark.parametrize(
    ("scene", "manner", "act", "words"),
    [
        ("hotline_way_tomorrow", "short", {"act": "arrival"}, "No, it should arrive on Saturday."),
        ("hotline_way_saturday", "short", {"act": "arrival"}, "Yes, it should arrive on Saturday."),
        ("hotline_way_where", "short", {"act": "place"}, "It was last seen in Hamburg today."),
        (
            "hotline_done",
            "warm",
            {"act": "status"},
            "Good news, your parcel ending in five zero eight seven was delivered",
        ),
        (
            "hotline_late",
            "apologetic",
            {"act": "status"},
            "I'm sorry, your parcel ending in one nine zero two is delayed.",
        ),
        (
            "hotline_done_who",
            "short",
            {"act": "not_known", "topic": "signature"},
            "I'm sorry, I can't see who signed for it.",
        ),
        (
            "hotline_overdue",
            "short",
            {"act": "arrival"},
            "I'm sorry, it was expected on Monday, and has not been recorded",
        ),
        (
            "hotline_both",
            "short",
            {"act": "status", "parcel": "ord 55087"},
            "Your parcel ending in five zero eight seven was",
        ),
        ("hotline_missing", "short", {"act": "status"}, "I couldn't find a parcel with the number"),
        ("hotline_old", "short", {"act": "age"}, "That was the status about two hours ago."),
    ],
)
async def test_a_fact_is_worded_by_the_builder_as_an_answer(scene: str, manner: str, act: Any, words: str) -> None:
    assert text_of(await answer(scene, said_by(manner=manner, acts=[act]))).startswith(words)


async def test_free_words_with_a_fact_are_left_out_and_the_acts_stay() -> None:
    call = said_by(before="It comes tomorrow, I promise.", acts=[{"act": "arrival"}], after="Your driver is Dave.")
    assert text_of(await answer("hotline_way", call)) == "It should arrive on Saturday."


async def test_say_and_the_look_up_in_one_answer_pass_as_words_and_one_call() -> None:
    look_up = ScriptedCall(tool_schema.NAME, '{"tracking_id":"PKG001"}', index=1)
    deltas = await answer("empty", said_by(before="I'll look that up for you.", acts=[]), look_up)
    assert text_of(deltas) == "I'll look that up for you."
    calls = [delta for delta in deltas if isinstance(delta, ToolCallDelta)]
    assert {delta.index for delta in calls} == {0} and calls[0].name == tool_schema.NAME
    assert isinstance(deltas[-1], Generated) and deltas[-1].finish_reason == "tool_calls"


@pytest.mark.parametrize(
    "arguments",
    [
        "", "{", "[]", "null", '"status"', '{"acts":', '{"acts":"status"}', '{"acts":[{"act":"fly"}]}', '{"acts":[7,null,[]]}',
        '{"acts":[{"act":"status","parcel":"PKG404"}]}', '{"acts":[{"act":"status","parcel":7}]}', "[" * 5_000,
        '{"before":"It is lost."}', '{"before":7,"after":{"x":1},"acts":[]}', '{"acts":[],"before":"It arrives at noon."}',
    ],
)  # fmt: skip
async def test_a_bad_call_of_say_becomes_the_answer_to_the_question(arguments: str) -> None:
    deltas = await answer("hotline_way_when", ScriptedCall(NAME, arguments))
    assert text_of(deltas) == "It should arrive on Saturday."
    assert not any(isinstance(delta, ToolCallDelta) for delta in deltas)


async def test_say_is_offered_only_where_a_model_may_call_it() -> None:
    async def offered(**changes: Any) -> bool:
        model = ScriptedLlm(("Hello.",))
        llm = GroundedLlm(model, lambda: 0.0)
        asked = msgspec.structs.replace(request("empty"), **changes)
        [delta async for delta in llm.generate(asked, "job_1")]
        return NAME in {tool.name for tool in model.requests[0].tools}

    assert await offered()
    assert not await offered(tool_choice="none")
    assert not await offered(tool_choice="required")
    assert not await offered(is_continuation=True)
    assert not await offered(tools=(ToolSpec("weather"),))


async def test_a_model_without_calls_takes_the_judged_stream() -> None:
    assert text_of(await answer("hotline_way_when", "It comes tomorrow. ", "It's with DHL.")).endswith("It's with DHL.")


act = st.fixed_dictionaries(
    {"act": st.sampled_from([*PARAMETERS["properties"]["acts"]["items"]["properties"]["act"]["enum"], "fly", ""])},
    optional={
        "parcel": st.sampled_from(["JJD8800417", "ORD55087", "PKG1", "", "0417"]),
        "topic": st.sampled_from(["reason", "refund", "", "x"]),
    },
)


@settings(max_examples=80, deadline=None)
@given(
    st.lists(act, max_size=8),
    st.sampled_from(["short", "warm", "apologetic", "rude"]),
    st.sampled_from(sorted(scenes())),
)
def test_whatever_acts_are_chosen_the_check_passes_their_words(acts: list[Any], manner: str, scene: str) -> None:
    facts = facts_of(scene)
    words = spoken(json.dumps({"acts": acts, "manner": manner}), facts)
    refused = [each.reason for each in check_whole(words, facts) if not each.allowed]
    assert refused == [], words
