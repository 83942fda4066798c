"""The delivery agent's policy, over whole conversations."""

from collections.abc import Callable

import msgspec
import pytest

from agentvoicebox.engine.jobs import ChatMessage, ToolCall, ToolSpec
from agentvoicebox_delivery.dialogue import phrases
from agentvoicebox_delivery.dialogue.moves import Move, Say, ToolRequest, next_move
from agentvoicebox_delivery.parcels import reply, tool_schema, track
from agentvoicebox_delivery.parcels.shipment import Shipment, ShipmentEvent, ShipmentStatus

pytestmark = pytest.mark.requirement("B1.6")

# A look-up that takes readings of a number. What ours does besides, with numbers misheard, is in test_delivery_mishearing.
OUR_TOOL = ToolSpec(
    tool_schema.NAME,
    "",
    {"type": "object", "properties": {"tracking_id": {"type": "string"}, "candidates": {"type": "array"}}},
)
PLAIN_TOOL = ToolSpec("track_shipment", "", {"type": "object", "properties": {"tracking_id": {"type": "string"}}})
IN_LEEDS = ShipmentEvent(ShipmentStatus.OUT_FOR_DELIVERY, None, "Leeds")
PARCELS = {
    each.tracking_id: each
    for each in (
        Shipment("PKG004", ShipmentStatus.OUT_FOR_DELIVERY, "UPS", None, IN_LEEDS),
        Shipment("ORD3121", ShipmentStatus.DELAYED, "UPS"),
        Shipment("ORD30121", ShipmentStatus.IN_TRANSIT, "DHL"),
        Shipment("1Z999AA10123456784", ShipmentStatus.IN_TRANSIT, "UPS"),
        Shipment("986578788855", ShipmentStatus.DELIVERED, "FedEx"),
    )
}  # fmt: skip


def look_up(arguments: dict[str, object]) -> str:
    given = arguments.get("candidates") or arguments["tracking_id"]
    assert isinstance(given, str | list)
    asked = track.wanted(given)
    return track.outcome(asked, [PARCELS[each.tracking_id] for each in asked if each.tracking_id in PARCELS]).as_json()


class Call:
    """A conversation in which our side does what `next_move` says, and calls are answered by `answer`."""

    def __init__(self, tool: ToolSpec | None = OUR_TOOL, answer: Callable[[dict[str, object]], str] = look_up) -> None:
        self.tools = [tool] if tool else []
        self.answer = answer
        self.lines: list[ChatMessage] = []
        self.calls: list[dict[str, object]] = []

    def turn(self, *said: str) -> str:
        """The caller's lines one by one; our last answer."""
        answer = ""
        for text in said:
            self.lines.append(ChatMessage("user", text))
            answer = self.go_on()
        return answer

    def go_on(self) -> str:
        while True:
            move = next_move(self.lines, self.tools)
            if isinstance(move, Say):
                self.lines.append(ChatMessage("assistant", move.text))
                return move.text
            self.calls.append(move.arguments)
            call_id = f"call_{len(self.calls)}"
            written = msgspec.json.encode(move.arguments).decode()
            self.lines.append(ChatMessage("assistant", "", (ToolCall(call_id, move.name, written),)))
            self.lines.append(ChatMessage("tool", self.answer(move.arguments), call_id=call_id))

    def cut(self, words: int) -> None:
        """The caller heard only so many words of our last line."""
        last = self.lines.pop()
        self.lines.append(ChatMessage("assistant", " ".join(last.text.split()[:words])))


def test_need_fetch_report_and_goodbye() -> None:
    call = Call()
    assert call.go_on() == phrases.GREETING
    assert call.turn("Where is my parcel?") == phrases.ASK
    answer = call.turn("P K G zero zero four")
    assert call.calls == [{"tracking_id": "PKG004"}]
    assert answer == f"{reply.found(PARCELS['PKG004'])} {phrases.ANYTHING_ELSE}"
    assert call.turn("No, thank you.") == phrases.GOODBYE


def test_a_number_in_the_first_breath_is_looked_up_at_once() -> None:
    call = Call()
    call.turn("Hi, where is my package PKG004?")
    assert call.calls == [{"tracking_id": "PKG004"}]


def test_a_number_may_come_in_parts() -> None:
    call = Call()
    assert "What comes next?" in call.turn("it's 1Z 999 AA1")
    assert call.calls == []
    call.turn("and then 01 2345 6784")
    assert call.calls == [{"tracking_id": "1Z999AA10123456784"}]


def test_digit_by_digit_works_too() -> None:
    call = Call()
    assert "is on" not in call.turn("my number?", "P K G", "zero", "zero")
    call.turn("four")
    assert call.calls[-1] == {"tracking_id": "PKG004"}


def test_a_doubtful_number_is_read_back_and_looked_up_after_yes() -> None:
    call = Call()
    assert call.turn("1Z 999 AA1 01 2345 6785").endswith("Is that right?")
    assert call.calls == []
    assert call.turn("No, sorry, four.").endswith("Is that right?")
    call.turn("Yes, that's right.")
    assert call.calls == [{"tracking_id": "1Z999AA10123456784"}]


def test_no_means_asking_again_and_a_new_number_replaces_the_old() -> None:
    call = Call()
    call.turn("1Z 999 AA1 01 2345 6785")
    assert call.turn("no") == phrases.SAY_AGAIN
    call.turn("PKG004")
    assert call.calls == [{"tracking_id": "PKG004"}]
    other = Call()
    other.turn("1Z 999 AA1 01 2345 6785", "that's wrong, it's P K G zero zero four")
    assert other.calls == [{"tracking_id": "PKG004"}]


def test_yes_to_a_question_that_was_not_heard_out_asks_it_again() -> None:
    call = Call()
    question = call.turn("1Z 999 AA1 01 2345 6785")
    call.cut(5)
    assert call.turn("yes") == question and call.calls == []


def test_several_readings_are_looked_up_together_and_the_caller_chooses() -> None:
    call = Call()
    assert "more than one" in call.turn("O R D thirty one twenty one")
    assert call.calls[0]["tracking_id"] == "ORD3121" and "ORD30121" in call.calls[0]["candidates"]  # type: ignore[operator]
    assert call.turn("the one ending zero one two one").endswith("Is that right?")
    assert reply.found(PARCELS["ORD30121"]) in call.turn("yes")
    assert call.calls[-1] == {"tracking_id": "ORD30121"}


def test_a_tool_that_takes_one_id_gets_one_after_it_was_confirmed() -> None:
    call = Call(PLAIN_TOOL)
    assert call.turn("O R D thirty one twenty one").endswith("Is that right?")
    call.turn("yes")
    assert call.calls == [{"tracking_id": "ORD3121"}]


def test_a_guessed_parcel_is_told_only_after_yes() -> None:
    call = Call()
    question = call.turn("B K G zero zero four")
    assert question == reply.confirm("PKG004") and "delivery" not in question
    assert reply.found(PARCELS["PKG004"]) in call.turn("yes")


def test_the_rest_of_a_number_may_follow_a_failed_look_up() -> None:
    call = Call()
    assert "couldn't find" in call.turn("9865 7878")
    assert reply.found(PARCELS["986578788855"]) in call.turn("8855")


def test_mumbling_ends_honestly() -> None:
    call = Call()
    call.go_on()
    assert call.turn("mm") == f"{phrases.AFTER_MISS[0]} {phrases.ASK}"
    assert call.turn("uh") == phrases.AFTER_MISS[1]
    assert call.turn("hm") == phrases.GIVE_UP


def test_three_parcels_not_found_end_honestly() -> None:
    call = Call()
    assert "PKG" not in call.turn("PKG901", "PKG902")
    assert call.turn("PKG903") == phrases.CANT_FIND


def test_no_number_at_all_ends_honestly() -> None:
    call = Call()
    assert call.turn("I don't have a number") == phrases.NO_NUMBER
    assert call.turn("I can't find it") == phrases.CANT_WITHOUT


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("Can I speak to a human please", phrases.NO_HUMAN),
        ("what's the capital of France, my friend", phrases.OFF_TOPIC),
        ("hold on, let me find it", phrases.TAKE_YOUR_TIME),
        ("where do I find that number", phrases.WHERE_TO_FIND),
        ("bye", phrases.GOODBYE),
        ("hello?", phrases.GREETED),
    ],
)
def test_everything_else_has_its_answer(line: str, words: str) -> None:
    assert call_text(line).startswith(words)


def call_text(*lines: str) -> str:
    return Call().turn(*lines)


def test_a_report_is_repeated_and_questions_about_it_are_answered_from_it() -> None:
    call = Call()
    report = call.turn("PKG004")
    assert call.turn("Sorry, can you repeat that?") == report
    assert "Leeds" in call.turn("where is it?")
    assert "UPS" in call.turn("who has it?")
    assert len(call.calls) == 1


def test_another_parcel_can_follow() -> None:
    call = Call()
    call.turn("PKG004", "yes please")
    assert reply.found(PARCELS["986578788855"]) in call.turn(
        "nine eight six five seven eight seven eight eight eight five five"
    )


def test_who_says_yes_in_two_parts_hears_the_report_that_the_second_part_cut_off() -> None:
    call = Call()
    report = call.turn("PKG004")
    call.cut(3)
    assert call.turn("That's right.") == report
    assert call.turn("Yes, please.") == phrases.ASK_OTHER, "the question was heard this time"


def test_a_report_cut_by_the_caller_changes_nothing_but_what_was_heard() -> None:
    call = Call()
    report = call.turn("PKG004")
    call.cut(3)
    assert call.turn("sorry, say that again") == report


def test_a_report_of_which_nothing_was_heard_is_given_again() -> None:
    call = Call()
    report = call.turn("PKG004")
    call.cut(0)
    assert call.turn("hello?") == report and len(call.calls) == 1


def test_a_caller_whose_number_ends_early_is_taken_at_their_word() -> None:
    call = Call()
    assert "What comes next?" in call.turn("1Z 999 AA1")
    assert call.turn("that's all") == reply.confirm("1Z999AA1")


def test_lines_with_nothing_heard_between_are_one_line() -> None:
    lines = [ChatMessage("user", "P K G zero"), ChatMessage("assistant", ""), ChatMessage("user", "zero four")]
    assert next_move(lines, [OUR_TOOL]) == ToolRequest(tool_schema.NAME, {"tracking_id": "PKG004"})


def test_a_result_that_never_came_is_asked_for_again() -> None:
    lines = [
        ChatMessage("user", "PKG004"),
        ChatMessage("assistant", "", (ToolCall("call_1", tool_schema.NAME, '{"tracking_id":"PKG004"}'),)),
        ChatMessage("user", "hello? are you there?"),
    ]
    assert next_move(lines, [OUR_TOOL]) == ToolRequest(tool_schema.NAME, {"tracking_id": "PKG004"})


def test_a_backend_that_is_away_is_said_and_may_be_tried_again() -> None:
    call = Call(answer=lambda arguments: track.unavailable().as_json())
    assert call.turn("PKG004") == reply.unavailable()
    assert call.turn("can you try again") == reply.unavailable()
    assert len(call.calls) == 2


def test_without_the_tool_it_says_so() -> None:
    assert Call(tool=None).turn("PKG004") == phrases.NO_TOOL


def test_results_of_other_tools_are_not_taken_for_parcels() -> None:
    lines = [
        ChatMessage("user", "where is my parcel"),
        ChatMessage("assistant", "", (ToolCall("call_w", "get_weather", '{"city":"Paris"}'),)),
        ChatMessage("tool", "sunny", call_id="call_w"),
    ]
    move: Move = next_move(lines, [OUR_TOOL])
    assert isinstance(move, Say) and "sunny" not in move.text


def test_silence_is_asked_after_with_the_open_question() -> None:
    call = Call()
    call.turn("where is my parcel")
    assert call.go_on() == f"{phrases.STILL_THERE} {phrases.ASK}"
