from datetime import UTC, datetime

import msgspec
import pytest
import structlog
from tests.kit.grounding_corpus import TODAY, facts_of, scenes
from tests.kit.scripted_llm import Pause, ScriptedCall, ScriptedLlm

from agentvoicebox.engine.inputs import Generated, TextDelta, ToolCallDelta
from agentvoicebox.engine.jobs import ChatMessage, Generate, ToolSpec
from agentvoicebox.errors import ProviderUnavailable
from agentvoicebox.workers.llm import continued
from agentvoicebox_delivery.grounding.judgement import ClauseVerdict
from agentvoicebox_delivery.language_models.grounded import GroundedLlm
from agentvoicebox_delivery.parcels import tool_schema

pytestmark = pytest.mark.requirement("C3")

NOW_S = datetime(TODAY.year, TODAY.month, TODAY.day, 12, tzinfo=UTC).timestamp()


def asking(scene: str) -> Generate:
    return Generate("resp_1", "openai/x", "Be true.", scenes()[scene], (ToolSpec(tool_schema.NAME),))


async def said(llm: GroundedLlm, scene: str) -> str:
    return "".join([delta.text async for delta in llm.generate(asking(scene), "job_1") if isinstance(delta, TextDelta)])


def speech(scene: str) -> str:
    latest = facts_of(scene).latest
    assert latest is not None
    return latest.speech


async def test_a_true_reply_passes_unchanged() -> None:
    line = ("Your parcel is on", " its way, and it should", " arrive on Tuesday. Is there", " anything else?")
    assert await said(GroundedLlm(ScriptedLlm(line), lambda: NOW_S), "transit") == "".join(line)


async def test_an_agent_without_the_look_up_speaks_freely() -> None:
    llm = GroundedLlm(ScriptedLlm(("Mount Fuji is 3776 metres high.",)), lambda: NOW_S)
    request = msgspec.structs.replace(asking("empty"), tools=())
    assert TextDelta("job_1", "Mount Fuji is 3776 metres high.") in [
        delta async for delta in llm.generate(request, "job_1")
    ]


async def test_a_false_reply_becomes_the_builders() -> None:
    llm = GroundedLlm(ScriptedLlm(("It will be there ", "tomorrow.")), lambda: NOW_S)
    assert (await said(llm, "transit")).strip() == speech("transit")


async def test_a_sentence_leaves_as_soon_as_it_is_whole() -> None:
    pause = Pause()
    llm = GroundedLlm(ScriptedLlm(("Your parcel is on its way. ", pause, "It is lost.")), lambda: NOW_S)
    stream = llm.generate(asking("transit"), "job_1")
    assert await anext(stream) == TextDelta("job_1", "Your parcel is on its way. ")
    await stream.aclose()


async def test_tool_calls_and_the_end_pass_and_the_text_before_them_comes_first() -> None:
    llm = GroundedLlm(
        ScriptedLlm(
            ("Let me check that for you.", ScriptedCall("get_delivery_status", '{"tracking_id":', '"PKG001"}'))
        ),
        lambda: NOW_S,
    )
    deltas = [delta async for delta in llm.generate(asking("empty"), "job_1")]
    assert deltas == [
        TextDelta("job_1", "Let me check that for you."),
        ToolCallDelta("job_1", 0, "get_delivery_status", ""),
        ToolCallDelta("job_1", 0, None, '{"tracking_id":'),
        ToolCallDelta("job_1", 0, None, '"PKG001"}'),
        Generated("job_1", "tool_calls", len(scenes()["empty"]), 2),
    ]


async def test_a_refused_word_before_a_tool_call_is_only_left_out() -> None:
    llm = GroundedLlm(ScriptedLlm(("It is surely in Berlin", ScriptedCall("get_delivery_status", "{}"))), lambda: NOW_S)
    assert await said(llm, "empty") == ""


async def test_each_clause_is_counted_and_no_word_of_it_is_logged() -> None:
    verdicts: list[ClauseVerdict] = []
    llm = GroundedLlm(ScriptedLlm(("It's on its way. It is in Timbuktu.",)), lambda: NOW_S, verdicts.append)
    with structlog.testing.capture_logs() as logs:
        await said(llm, "transit")
    assert [verdict.allowed for verdict in verdicts] == [True, False]
    assert [sorted(entry) for entry in logs] == [["event", "job_id", "log_level", "reason"]]
    assert "imbuktu" not in str(logs).lower()


async def test_tomorrow_moves_with_the_clock() -> None:
    llm = GroundedLlm(ScriptedLlm(("It should arrive tomorrow.",)), lambda: NOW_S + 86_400)
    assert await said(llm, "transit") == "It should arrive tomorrow."


async def test_a_second_attempt_goes_on_where_the_first_one_stopped() -> None:
    spoken = "Your parcel is on its way, "
    llm = GroundedLlm(ScriptedLlm(("and it should arrive on Tuesday.",)), lambda: NOW_S)
    rest = [delta async for delta in continued(llm, asking("transit"), "job_1", spoken) if isinstance(delta, TextDelta)]
    assert "".join(delta.text for delta in rest) == "and it should arrive on Tuesday."


async def test_a_second_attempt_keeps_to_the_parcel_that_was_spoken_of() -> None:
    request = msgspec.structs.replace(
        asking("two"),
        messages=(
            *scenes()["two"],
            ChatMessage("assistant", "The parcel ending in zero zero two has been delivered. "),
        ),
    )
    llm = GroundedLlm(ScriptedLlm(("It should arrive on Tuesday.",)), lambda: NOW_S)
    text = "".join([delta.text async for delta in llm.generate(request, "job_1") if isinstance(delta, TextDelta)])
    assert text.strip() == speech("two")


async def test_what_is_pending_is_not_spoken_when_the_model_breaks_off() -> None:
    llm = GroundedLlm(ScriptedLlm(("It's on its way. It should arr", ProviderUnavailable("gone"))), lambda: NOW_S)
    heard = []
    try:
        async for delta in llm.generate(asking("transit"), "job_1"):
            heard.append(delta)
    except ProviderUnavailable:
        pass
    assert heard == [TextDelta("job_1", "It's on its way. ")]
