"""The delivery agent in hard calls: corrections, several parcels, refusals, days in the past, and the way to a person."""

from datetime import date
from typing import Any

import httpx
import msgspec
import pytest

from agentvoicebox.tools.definition import ToolContext
from agentvoicebox.tools.registry import Registry
from agentvoicebox_delivery.dialogue import hand_over, phrases
from agentvoicebox_delivery.dialogue.corrections import corrected
from agentvoicebox_delivery.dialogue.languages import is_foreign
from agentvoicebox_delivery.evals.conversation_call import AgentAnswer, ConversationCall
from agentvoicebox_delivery.hand_over_tool import hand_over_to
from agentvoicebox_delivery.numbers.readback import ending
from agentvoicebox_delivery.parcels import reply
from agentvoicebox_delivery.parcels.shipment import Shipment, ShipmentStatus
from agentvoicebox_delivery.settings import DeliverySettings
from agentvoicebox_delivery.sources.demo_data import parcels

pytestmark = pytest.mark.requirement("B1.6")

TODAY = date(2026, 11, 24)
ALL = {each.tracking_id: each for each in parcels(TODAY)}


def call(**more: Any) -> ConversationCall:
    return ConversationCall(list(ALL.values()), TODAY, **more)


def told(*lines: str, **more: Any) -> AgentAnswer:
    """The answer to the last of some typed lines."""
    line = call(**more)
    return [line.turn(each, is_typed=True) for each in lines][-1]


@pytest.mark.parametrize(
    ("read_back", "line", "meant"),
    [
        ("PKG006", "No, the last digit is 9, not 6.", "PKG009"),
        ("PKG006", "Not six, nine.", "PKG009"),
        ("PKG006", "it ends in nine", "PKG009"),
        ("PKG002", "No, eight, the last one's an eight.", "PKG008"),
        ("PKG031", "one three, not three one", "PKG013"),
        ("PKG005", "You said five, but it's nine.", "PKG009"),
        ("PKG006", "that's not mine", ""),
        ("PKG006", "no", ""),
        ("PKG006", "eight, not two", ""),
        ("PKG006", "", ""),
    ],
)
def test_a_few_characters_are_corrected_where_the_caller_says(read_back: str, line: str, meant: str) -> None:
    assert corrected(read_back, line) == meant


def test_a_yes_with_the_same_number_is_a_yes_and_with_another_one_is_none() -> None:
    line = call()
    assert line.turn("P K G zero zero four.").text == reply.confirm("PKG004")
    assert "zero zero four" in line.turn("Yes, P K G zero zero four.").text
    line = call()
    line.turn("P K G zero zero four.")
    assert "out for delivery" not in line.turn("Yes, P K G zero zero five.").text


def test_a_caller_who_pauses_between_groups_of_digits_is_asked_for_the_rest() -> None:
    line = call()
    line.turn("Where is my parcel?")
    line.turn("nine eight six five")
    assert line.turn("seven eight seven eight").text == phrases.so_far("nine eight six five, seven eight seven eight")
    line = call()
    line.turn("Where is my parcel?")
    assert "couldn't find" in line.turn("nine eight six five seven eight seven eight").text


def test_a_refused_number_is_not_read_back_again() -> None:
    line = call()
    refused: set[str] = set()
    answer = line.turn("It's P K G zero zero two.").text
    for _ in range(3):
        for tracking_id in ALL:
            if answer == reply.confirm(tracking_id):
                assert tracking_id not in refused
                refused.add(tracking_id)
        answer = line.turn("No.").text
    assert refused


def test_a_no_brings_no_endings_of_other_parcels() -> None:
    line = call()
    assert line.turn("It's P K G zero zero two.").text == reply.confirm("PKG002")
    answer = line.turn("No, that's everything.").text
    assert not any(f"in {ending(each)}" in answer for each in ALL) and phrases.SORRY in answer


def test_a_yes_to_a_choice_is_no_answer() -> None:
    line = call()
    question = line.turn("O R D thirty one twenty one").text
    assert " or in " in question
    answer = line.turn("Yes.")
    assert answer.text == question and not answer.reported


def test_two_numbers_of_one_line_are_both_looked_up() -> None:
    answer = told("Where are PKG001 and PKG002?")
    assert answer.reported == ("PKG001", "PKG002")
    assert reply.found(ALL["PKG001"], TODAY) in answer.text and reply.found(ALL["PKG002"], TODAY) in answer.text


@pytest.mark.parametrize(
    "line",
    ["986578, 788855", "9400 1112 and 0620 6406 2607 87", "nine eight six five seven eight, and seven eight eight eight five"],
)  # fmt: skip
def test_groups_of_one_number_are_not_several_numbers(line: str) -> None:
    answer = call().turn(line)
    assert len(answer.reported) <= 1 and "more than one" not in answer.text


def test_the_parcels_of_a_call_are_remembered() -> None:
    line = call()
    line.turn("PKG001", is_typed=True)
    line.turn("PKG002", is_typed=True)
    assert "arrive on Thursday" in line.turn("When is the first one coming?").text
    assert "Bristol" in line.turn("And where is the UPS one?").text
    assert not line.turn("Who signed for it?").reported


def test_an_arrival_in_the_past_is_no_promise_and_no_failure() -> None:
    late = Shipment("PKG500", ShipmentStatus.IN_TRANSIT, "DHL", date(2026, 11, 20))
    line = ConversationCall([late], TODAY)
    for said in ("PKG500", "When will it arrive?", "Is it coming today?"):
        answer = line.turn(said, is_typed=True).text
        assert "was expected on Friday, and has not been recorded as delivered" in answer and "should" not in answer


def test_silence_is_answered_with_the_open_question() -> None:
    line = call()
    line.turn("Where is my parcel?")
    assert line.silence().text == f"{phrases.STILL_THERE} {phrases.ASK}"


@pytest.mark.parametrize(
    "line", ["Wo ist mein Paket?", "¿Dónde está mi paquete?", "Où est mon colis ?", "我的包裹在哪里"]
)
def test_another_language_is_recognised(line: str) -> None:
    assert is_foreign(line)


@pytest.mark.parametrize(
    "line", ["Where is my parcel?", "P K G zero zero four", "PKG004", "la la la", "Die Hard", "no", ""]
)
def test_english_is_not_taken_for_another_language(line: str) -> None:
    assert not is_foreign(line)


def test_a_line_without_a_word_is_asked_after_twice_and_then_the_call_ends() -> None:
    line = call()
    line.turn("Where is my parcel?")
    asked = f"{phrases.NOT_HEARD} {phrases.ASK}"
    assert [line.turn("").text for _ in range(4)] == [asked, asked, phrases.SILENT, phrases.BYE]


def test_a_word_after_silence_goes_on_where_the_call_was() -> None:
    line = call()
    line.turn("Where is my parcel?")
    line.turn("")
    assert line.turn("PKG004", is_typed=True).reported == ("PKG004",)
    assert line.turn("").text == phrases.NOT_HEARD


# -- a person ----------------------------------------------------------------------------------------------------------


def test_without_the_tool_the_way_to_a_person_is_denied_and_others_are_named() -> None:
    answer = told("I want to speak to a human", "a human please")
    assert phrases.NO_HUMAN in answer.text and phrases.ASK_CARRIER in answer.text and not answer.has_handed_over


def test_a_person_is_called_on_demand_and_offered_at_the_second_failure() -> None:
    assert told("I want to speak to a human", handover="transfer").text == phrases.TRANSFERRED
    assert told("call me back please", handover="callback").text == phrases.WILL_BE_CALLED
    assert phrases.OFFER_PERSON not in told("PKG991", handover="transfer").text
    assert phrases.OFFER_PERSON in told("PKG991", "PKG992", handover="transfer").text
    assert told("PKG991", "PKG992", "yes", handover="transfer").has_handed_over


async def handed_over(target: str, accepts: bool = True) -> tuple[dict[str, Any], list[tuple[str, dict[str, Any]]]]:
    sent: list[tuple[str, dict[str, Any]]] = []

    async def post(address: str, body: dict[str, Any]) -> None:
        sent.append((address, body))
        if not accepts:
            raise httpx.ConnectError("refused")

    registry = Registry([hand_over_to(target, post)])
    arguments = {"reason": "wants a refund", "tracking_id": "PKG004"}
    outcome = await registry.run(hand_over.NAME, arguments, ToolContext("acme", "sess_1", "call_1"))
    return msgspec.json.decode(outcome.output), sent


async def test_a_transfer_names_its_target_and_calls_nothing() -> None:
    answer, sent = await handed_over("tel:+15550100")
    assert (answer["code"], answer["kind"], answer["target"], sent) == ("OK", "transfer", "tel:+15550100", [])


async def test_a_call_back_is_ordered_once_at_the_operators_address() -> None:
    answer, sent = await handed_over("https://desk.example/callbacks")
    assert (answer["code"], answer["kind"]) == ("OK", "callback")
    assert sent == [
        (
            "https://desk.example/callbacks",
            {"tenant_id": "acme", "session_id": "sess_1", "call_id": "call_1"}
            | {"reason": "wants a refund", "tracking_id": "PKG004"},
        )
    ]  # fmt: skip


@pytest.mark.parametrize(("target", "accepts"), [("", True), ("https://desk.example/callbacks", False)])
async def test_without_an_address_or_an_answer_it_says_so(target: str, accepts: bool) -> None:
    answer, _ = await handed_over(target, accepts)
    assert (answer["code"], answer["speech"]) == ("UNAVAILABLE", phrases.NO_COLLEAGUE)


def test_an_address_of_no_known_kind_is_refused_at_the_start() -> None:
    with pytest.raises(ValueError, match="tel:, sip: or https://"):
        DeliverySettings(hand_over_to="call Bob")
    assert DeliverySettings(hand_over_to="sip:desk@example.com").hand_over_to
