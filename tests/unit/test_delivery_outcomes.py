"""How calls about parcels came out, in how many tries, and what the agent declined or promised."""

import json
from typing import Any

import msgspec
import pytest
from tests.kit.kits import CHOICE, without_words
from tests.kit.recorded import scenario, simulated

from agentvoicebox.evals.score import score
from agentvoicebox.interactions.interaction import Interaction, Line, ToolUse
from agentvoicebox_delivery.evals.outcomes import OUTCOMES, outcome_of, refuses
from agentvoicebox_delivery.evals.promises import unkept

pytestmark = pytest.mark.requirement("B3.4-3.5")


def use(code: str, line: int = 1, name: str = "get_delivery_status", **data: Any) -> ToolUse:
    return ToolUse(name=name, arguments="{}", code=code, line=line, output=json.dumps({"code": code, "data": data}))


def call(*uses: ToolUse, said: tuple[str, ...] = ()) -> Interaction:
    lines = [Line(role="caller", text="Where is it?")]
    lines += [Line(role="caller" if text[:1] == ">" else "agent", text=text.lstrip("> ")) for text in said]
    return Interaction(
        timestamp="", began_s=0.0, correlation_id="", call_id="", channel="realtime", has_words=True,
        tool_calls=uses, transcript=tuple(lines),
    )  # fmt: skip


ONE: dict[str, Any] = {"tracking_id": "PKG001"}
OTHER: dict[str, Any] = {"tracking_id": "PKG002"}


@pytest.mark.parametrize(
    ("uses", "name", "tries"),
    [
        ((), "no number", None),
        ((use("INVALID_ID"),), "no number", None),
        ((use("FOUND", **ONE),), "found", 1),
        ((use("CONFIRM", **ONE), use("FOUND", **ONE)), "confirmed and found", 1),
        ((use("CONFIRM", **OTHER), use("CONFIRM", **ONE), use("FOUND", **ONE)), "confirmed and found", 2),
        ((use("AMBIGUOUS", candidates=["PKG002", "PKG001"]), use("FOUND", **ONE)), "confirmed and found", 1),
        ((use("NOT_FOUND", **OTHER), use("UNAVAILABLE"), use("FOUND", **ONE)), "found", 2),
        ((use("NOT_FOUND", **OTHER),), "not found", None),
        ((use("NOT_FOUND", **OTHER), use("CONFIRM", **ONE)), "number refused by the caller", None),
        ((use("UNAVAILABLE"),), "tracking unavailable", None),
        ((use("NOT_FOUND", **OTHER), use("OK", name="hand_over")), "handed over", None),
        ((use("NOT_FOUND", **OTHER), use("UNAVAILABLE", name="hand_over")), "not found", None),
    ],
)
def test_the_outcome_and_the_tries_follow_from_the_tool_calls(
    uses: tuple[ToolUse, ...], name: str, tries: int | None
) -> None:
    found = outcome_of(call(*uses))
    assert (found.name, found.tries) == (name, tries) and found.name in OUTCOMES


def test_a_recording_without_words_comes_out_the_same() -> None:
    whole = simulated(scenario("happy"))
    assert outcome_of(whole) == outcome_of(without_words(whole))
    assert outcome_of(whole).name == "confirmed and found"


@pytest.mark.parametrize(
    ("line", "is_refusal"),
    [
        ("I can't see who signed for it.", True),
        ("I can only help with tracking parcels.", True),
        ("I don\u2019t know which carrier has it.", True),
        ("I couldn't find a parcel with the number P K G, nine nine nine.", False),
        ("I'm sorry, I can't reach the tracking system right now.", False),
        ("Your parcel is on its way.", False),
    ],
)
def test_a_line_that_declines_is_told_from_a_result(line: str, is_refusal: bool) -> None:
    assert refuses(line) is is_refusal


PROMISES = [
    "I will look into it for you right away.",
    "I will find out.",
    "I'll check on it again now.",
    "I will try again.",
    "I'll call you back tomorrow.",
    "We\u2019re going to refund you.",
    "A colleague will call you back.",
    "You'll receive an email.",
]


@pytest.mark.parametrize("line", PROMISES)
def test_a_promise_that_nothing_keeps_is_found(line: str) -> None:
    assert [each.clause for each in unkept(call(said=(line,)))] == [line]
    told = call(use("FOUND", **ONE), said=(f"Your parcel is on its way. {line}", "> Thanks."))
    assert [each.clause for each in unkept(told)] == [line]
    metric = score([told], scenarios={}, choice=CHOICE).metrics["promises.count"]
    assert (metric.value, metric.must_be, metric.samples) == (1, 0.0, 1)


@pytest.mark.parametrize(
    "line",
    [
        "I'll need the tracking number.",
        "I will repeat it. P K G, zero zero one.",
        "I will not be able to see that.",
        "It will arrive on Tuesday.",
        "Can you find it there?",
    ],
)
def test_what_is_done_by_saying_it_is_no_promise(line: str) -> None:
    assert unkept(call(said=(line,))) == []


def test_a_look_up_that_is_announced_before_its_result_is_kept() -> None:
    told = call(use("FOUND", **ONE), said=("I'll look that up. Your parcel is on its way.",))
    assert unkept(told) == []
    assert unkept(call(said=("I'll look that up.", "> And?", "Your parcel is on its way."))) != []


def test_a_call_back_is_kept_by_the_tool_for_it_unless_it_failed() -> None:
    line = "A colleague will call you back."
    assert unkept(call(use("DONE", name="call_back"), said=(line,))) == []
    assert unkept(call(use("UNAVAILABLE", name="call_back"), said=(line,))) != []


def test_no_scenario_of_the_kit_promises_anything() -> None:
    found = score([simulated(scenario("happy")), simulated(scenario("mumble"))], scenarios={}, choice=CHOICE)
    assert found.metrics["promises.count"].value == 0


def test_without_words_the_promises_of_the_recorded_judgement_count() -> None:
    whole = without_words(simulated(scenario("happy")))
    assert whole.judgement is not None
    judged = msgspec.structs.replace(whole.judgement, unfounded=("unsupported: promise", "another day of arrival"))
    found = score([msgspec.structs.replace(whole, judgement=judged)], scenarios={}, choice=CHOICE)
    assert found.metrics["promises.count"].value == 1
    assert [fault.what for fault in found.faults_of("promises.count")] == ["unsupported: promise"]
