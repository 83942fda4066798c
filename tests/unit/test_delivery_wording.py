"""The agent's sentences: what they state is read whatever the wording, that of former versions too."""

from datetime import UTC, date, datetime

import pytest

from agentvoicebox.evals.replay import different
from agentvoicebox.interactions.interaction import Line, ToolUse
from agentvoicebox_delivery.dialogue import phrases
from agentvoicebox_delivery.evals.evaluation import DeliveryEvaluation
from agentvoicebox_delivery.grounding.statements import STATES
from agentvoicebox_delivery.judge import read_claims, speech_faults
from agentvoicebox_delivery.numbers.tracking import Candidate
from agentvoicebox_delivery.parcels import reply, track
from agentvoicebox_delivery.parcels.shipment import Shipment, ShipmentEvent, ShipmentStatus

pytestmark = pytest.mark.requirement("B1.6")

TODAY = date(2026, 11, 22)
EVALUATION = DeliveryEvaluation()
# Sentences without a parcel's state, as commit 4c48daa and earlier said them.
FORMER = (
    "What comes next in the number?",
    "I can't put you through to a person; I can only look up parcels.",
    "I can only help with where a parcel is.",
    "It's usually in the message that says your order was sent.",
    "Without the number I can't look up a parcel.",
    "I'm sorry, then I can't tell you anything about it. The sender can give you the number. Goodbye.",
    "I'm sorry, I can't make out the number, so I can't tell you anything about the parcel. Goodbye.",
    "Sorry, I still can't make it out. Please spell the number one character at a time, or type it.",
    "Please spell it in groups of three, or type it.",
    "Sorry about that. Please say the whole number again, slowly.",
    "I can't say anything about a parcel without its number.",
)


def parcel(status: ShipmentStatus) -> Shipment:
    event = ShipmentEvent(status, datetime(2026, 11, 21, 9, tzinfo=UTC), "Bristol")
    return Shipment("PKG004", status, "UPS", date(2026, 11, 24), event)


GUESSED = track.outcome([Candidate("PKG0004", 1), Candidate("PKG004", 0.5)], [parcel(ShipmentStatus.DELAYED)])


def use_of(outcome: track.LookupOutcome) -> ToolUse:
    return ToolUse(name="get_delivery_status", arguments="{}", output=outcome.as_json(), code=outcome.code)


@pytest.mark.parametrize("status", list(ShipmentStatus))
@pytest.mark.parametrize("age_s", [0.0, 300.0])
def test_every_report_is_read_as_the_state_and_the_number_that_it_states(status: ShipmentStatus, age_s: float) -> None:
    stated = EVALUATION.stated_facts([reply.found(parcel(status), TODAY, age_s=age_s)], TODAY)
    states = {f"state: {name}" for name, (_, is_true_in, _) in STATES.items() if status in is_true_in}
    assert stated & states and "number: 004" in stated
    assert not {fact for fact in stated if fact.startswith("state: ") and "not" not in fact} - states
    outcome = track.outcome([Candidate("PKG004", 1.0)], [parcel(status)], today=TODAY, age_s=age_s)
    assert speech_faults(use_of(outcome), TODAY) == []


@pytest.mark.parametrize(
    "line", [*FORMER, phrases.or_type_it(phrases.AFTER_MISS[1]), phrases.or_type_it(phrases.SAY_AGAIN)]
)
def test_a_sentence_that_states_nothing_is_read_as_such(line: str) -> None:
    report = read_claims([Line(role="agent", text=line)], [], TODAY)
    assert (report.findings, report.unread) == ((), ())


def test_nobody_is_asked_to_type_unless_they_have_typed() -> None:
    lines = [text for value in vars(phrases).values() for text in (value if isinstance(value, tuple) else (value,))]
    assert not [line for line in lines if isinstance(line, str) and "type" in line.split()]


@pytest.mark.parametrize(
    ("former", "outcome"),
    [
        ("I understood P K G, zero zero four. Is that your number?", GUESSED),
        ("That doesn't look like a whole tracking number. It has at least six letters and digits.", track.invalid_id()),
        ("I'm sorry, I can't reach the parcel records right now. Please try again in a few minutes.", track.unavailable()),
        (
            "Your parcel ending in zero zero four is delayed. It should arrive on Tuesday, the twenty-fourth of November."
            " It was last seen in Bristol on Saturday, the twenty-first of November.",
            track.outcome([Candidate("PKG004", 1)], [parcel(ShipmentStatus.DELAYED)]),
        ),
    ],
)  # fmt: skip
def test_a_recorded_sentence_replays_as_the_same_if_it_states_the_same(
    former: str, outcome: track.LookupOutcome
) -> None:
    then = track.LookupOutcome(outcome.code, former, outcome.data)
    assert different(use_of(then), outcome.as_json(), TODAY, evaluation=EVALUATION) == ""
    other = track.LookupOutcome(outcome.code, "Your parcel ending in zero zero four is on its way.", outcome.data)
    assert different(use_of(then), other.as_json(), TODAY, evaluation=EVALUATION)
