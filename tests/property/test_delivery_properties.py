"""Invariants of the delivery domain over random input: spoken ids come back, nothing crashes, nothing untold is told."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from agentvoicebox.engine.jobs import ChatMessage, ToolCall, ToolSpec
from agentvoicebox.resilience.backoff import Backoff
from agentvoicebox.resilience.breaker import Breaker, BreakerPolicy, BreakerState
from agentvoicebox_delivery.dialogue.moves import Say, ToolRequest, next_move
from agentvoicebox_delivery.numbers import lexicon
from agentvoicebox_delivery.numbers.readback import readback
from agentvoicebox_delivery.numbers.tracking import MOST_CANDIDATES, candidates, fragment, is_tracking_id
from agentvoicebox_delivery.parcels import tool_schema, track
from agentvoicebox_delivery.parcels.shipment import Shipment, ShipmentEvent, ShipmentStatus
from agentvoicebox_delivery.parcels.tool_result import read

pytestmark = pytest.mark.requirement("B1.2", "B1.6")

DIGIT_WORDS = {digit: [word for word, each in lexicon.DIGITS.items() if each == digit] for digit in "0123456789"}
NATO_WORDS = {
    letter: [word for word, each in lexicon.NATO.items() if each == letter] for letter in "ABCDEFGHJKLMNPQRSTUVWXYZ"
}
TOOL = ToolSpec(tool_schema.NAME, "", tool_schema.PARAMETERS)

ids = st.builds(
    lambda letters, digits: letters + digits,
    st.text("BCDFGHJKLMNPQRSTVWXZ", min_size=2, max_size=4),
    st.text("0123456789", min_size=4, max_size=12).filter(lambda text: text.strip("0") != ""),
)


@st.composite
def spoken(draw: st.DrawFn) -> tuple[str, str]:
    """An id, and one way to say it character by character."""
    tracking_id = draw(ids)
    said = []
    for character in tracking_id:
        if character.isdigit():
            said.append(draw(st.sampled_from([*DIGIT_WORDS[character], character])))
        else:
            said.append(
                draw(
                    st.sampled_from(
                        [*NATO_WORDS[character], character, f"{character} as in {NATO_WORDS[character][0]}"]
                    )
                )
            )
        said.append(draw(st.sampled_from(["", "", "", "um", "er", "dash", "uh"])))
    separator = draw(st.sampled_from([" ", ", ", " "]))
    before = draw(st.sampled_from(["", "it's ", "My number is ", "yes, "]))
    after = draw(st.sampled_from(["", ", thanks", ". Please tell me."]))
    return tracking_id, before + separator.join(word for word in said if word) + after


@settings(deadline=None)  # the machine may be busy
@given(spoken())
def test_an_id_said_character_by_character_comes_back_first(given_: tuple[str, str]) -> None:
    tracking_id, text = given_
    assert candidates(text)[0].tracking_id == tracking_id


WORDS = lexicon.NOT_LETTERS | lexicon.ABBREVIATIONS
apart = ids.filter(lambda text: text[:2].lower() not in WORDS)  # "PM 0001" may be a time, "TV PKG004" a television


@settings(deadline=None)  # the machine may be busy
@example("BBHM0001", " ")  # as a word by itself HM would be a hesitation
@given(apart, st.sampled_from(["", " ", "-", ".", "/", "\u200b", " - "]))
def test_a_typed_id_comes_back_whatever_separates_it(tracking_id: str, separator: str) -> None:
    text = separator.join((tracking_id[:2], tracking_id[2:4], tracking_id[4:]))
    assert candidates(text)[0].tracking_id == tracking_id


@settings(deadline=None)  # the machine may be busy
@given(ids)
@example("TBC0001")  # the beginning of a longer, known shape
def test_what_is_read_back_is_what_was_meant(tracking_id: str) -> None:
    said = readback(tracking_id).replace(" for ", " as in ")
    assert candidates(said)[0].tracking_id == tracking_id


talk = st.one_of(
    st.text(max_size=60),
    st.lists(
        st.sampled_from(
            [*lexicon.DIGITS, *lexicon.WEAK_DIGITS, *lexicon.WEAK_LETTERS, *lexicon.NATO, *lexicon.TENS, *lexicon.TEENS,
             *lexicon.MULTIPLIERS, "hundred", "thousand", "no", "sorry", "the last two are", "as in", "for", "B", "1Z", "999",
             "thanks", "yes", "is", "parcel", "PKG004", "bye", "human", "first", "o", "oh", "let me start again", ","]
        ),
        max_size=25,
    ).map(" ".join),
)  # fmt: skip


@settings(deadline=None)  # the machine may be busy
@given(talk)
def test_any_text_gives_a_bounded_ordered_set_of_possible_ids(text: str) -> None:
    found = candidates(text)
    assert len(found) <= MOST_CANDIDATES
    assert all(is_tracking_id(each.tracking_id) and 0 < each.score <= 1 for each in found)
    assert [each.score for each in found] == sorted((each.score for each in found), reverse=True)
    assert len({each.tracking_id for each in found}) == len(found)
    assert candidates(text) == found
    fragment(text)


@settings(deadline=None)  # the machine may be busy
@given(st.lists(talk, max_size=8), st.lists(st.integers(0, 40), min_size=8, max_size=8), st.booleans())
def test_no_conversation_breaks_the_policy_or_makes_it_tell_what_no_tool_told(
    lines: list[str], heard: list[int], is_known: bool
) -> None:
    """The caller says anything and breaks in anywhere; a secret of another parcel never comes out, nor a state untold."""
    secret = Shipment(
        "SECRET777", ShipmentStatus.DELAYED, "Umbra", None, ShipmentEvent(ShipmentStatus.DELAYED, None, "Raccoon City")
    )
    known = Shipment(
        "PKG004",
        ShipmentStatus.OUT_FOR_DELIVERY,
        "UPS",
        None,
        ShipmentEvent(ShipmentStatus.OUT_FOR_DELIVERY, None, "Leeds"),
    )
    chat: list[ChatMessage] = []
    told: list[str] = []
    for line, cut in zip(lines, heard, strict=False):
        chat.append(ChatMessage("user", line))
        for _ in range(3):
            move = next_move(chat, [TOOL])
            assert move == next_move(chat, [TOOL])
            if isinstance(move, Say):
                break
            assert isinstance(move, ToolRequest)
            asked = track.wanted(move.arguments.get("candidates") or move.arguments["tracking_id"])
            outcome = track.outcome(asked, [known, secret] if is_known else [])
            told.append(outcome.code)
            chat.append(ChatMessage("assistant", "", (ToolCall(f"c{len(chat)}", move.name, "{}"),)))
            chat.append(ChatMessage("tool", outcome.as_json(), call_id=f"c{len(chat) - 1}"))
        assert isinstance(move, Say) and move.text and "\n" not in move.text
        assert "Raccoon" not in move.text and "Umbra" not in move.text
        if track.FOUND not in told:
            assert "Leeds" not in move.text and "out for delivery" not in move.text
        chat.append(ChatMessage("assistant", " ".join(move.text.split()[:cut])))


@settings(deadline=None)  # the machine may be busy
@given(st.text(max_size=200))
def test_any_tool_output_can_be_read(output: str) -> None:
    result = read(output)
    assert result.code and "\n" not in result.speech


@settings(deadline=None)  # the machine may be busy
@given(st.lists(st.tuples(st.sampled_from(["ok", "fail", "drop"]), st.floats(0, 20)), max_size=40))
def test_a_breaker_never_lets_two_probes_out_and_never_stays_open_for_ever(steps: list[tuple[str, float]]) -> None:
    policy = BreakerPolicy(failures_to_open=2, open_s=10.0, probe_s=5.0)
    breaker, now_s, failures = Breaker(policy), 0.0, 0
    for what, wait_s in steps:
        now_s += wait_s
        state = breaker.state(now_s)
        breaker, is_admitted = breaker.admit(now_s)
        assert is_admitted is (state is not BreakerState.OPEN)
        if not is_admitted:
            continue
        if state is BreakerState.HALF_OPEN:
            assert not breaker.admit(now_s)[1]
        match what:
            case "ok":
                breaker, failures = breaker.succeeded(), 0
            case "fail":
                breaker, failures = breaker.failed(now_s), failures + 1
                assert (breaker.state(now_s) is BreakerState.OPEN) is (failures >= 2 or state is BreakerState.HALF_OPEN)
            case "drop":
                breaker = breaker.released()
    assert breaker.admit(now_s + policy.open_s + policy.probe_s)[1]


@settings(deadline=None)  # the machine may be busy
@given(st.integers(1, 200), st.floats(0, 1), st.floats(0, 1))
def test_a_wait_is_never_negative_nor_longer_than_the_longest(failures: int, spread: float, chance: float) -> None:
    wait_s = Backoff(tries=1 << 60, spread=spread, longest_s=3.0).wait_s(failures, chance)
    assert wait_s is not None and 0 <= wait_s <= 3.0
