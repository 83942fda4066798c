"""Callers who say their numbers aloud, through real voices, a real line and the real recogniser, to the real dialogue."""

from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest
from tests.kit.speech import catalogue

from agentvoicebox.providers.registry import build_stt
from agentvoicebox_delivery.evals import id_corpus
from agentvoicebox_delivery.evals.id_caller import Caller, CallOutcome
from agentvoicebox_delivery.evals.id_corpus import Person
from agentvoicebox_delivery.evals.id_voices import CallerVoices, LineRecogniser, Speaker
from agentvoicebox_delivery.numbers.inquiry import Inquiry
from agentvoicebox_delivery.parcels import track
from agentvoicebox_delivery.parcels.shipment import Shipment, ShipmentStatus

pytestmark = pytest.mark.requirement("B1.2", "B1.6")

PIPER, ESPEAK = Speaker("piper"), Speaker("espeak", "en-us")
PEOPLE = (
    Person(0, "merchant", "PKG004", "It's P K G zero zero four."),
    Person(1, "merchant", "ORD3121", "My tracking number is O R D, three one two one."),
    Person(2, "FedEx 12", "986578788855", "It's nine eight six five, seven eight seven eight, double eight five five."),
    Person(3, "UPS 1Z", "1Z999AA10123456784", "One Z, triple nine, Eh Eh one, oh one two three four five six seven eight four."),
    Person(4, "DHL 10", "8487135506", "Um, eight four eight, seven one three, double five, oh six."),
    Person(5, "Amazon", "TBA502887274000", "Tango bravo alpha five zero two, eight eight seven, two seven four, triple zero."),
)  # fmt: skip


@pytest.fixture(scope="module")
def recogniser(tmp_path_factory: pytest.TempPathFactory) -> LineRecogniser:
    return a_recogniser(tmp_path_factory.mktemp("spoken-ids"))


@pytest.fixture(scope="module")
def shelf() -> dict[str, Shipment]:
    return a_shelf()


def a_recogniser(folder: Path) -> LineRecogniser:
    return LineRecogniser(
        build_stt("fast", catalogue(), threads=1),
        "fast",
        CallerVoices(catalogue(), folder / "sounds"),
        folder / "heard",
    )


def a_shelf() -> dict[str, Shipment]:
    ids = id_corpus.parcels(list(PEOPLE), 1000)
    return {each: Shipment(each, ShipmentStatus.IN_TRANSIT) for each in ids}


def call(
    person: Person, speaker: Speaker, line: str, recogniser: LineRecogniser, shelf: dict[str, Shipment]
) -> CallOutcome:
    def look_up(arguments: dict[str, object]) -> str:
        question = Inquiry.of(arguments)
        if question is None:
            asked = track.wanted(str(arguments["tracking_id"]))
            return track.outcome(
                asked, [shelf[each.tracking_id] for each in asked if each.tracking_id in shelf]
            ).as_json()
        keys = question.keys()
        found = [shelf[each.tracking_id] for each in question.asked if each.tracking_id in shelf]
        return question.outcome(found, [each for name, each in shelf.items() if keys.fit(name)]).as_json()

    return Caller(person, lambda text: recogniser.transcribe(speaker, line, text), look_up).call()


def calls_on_a_clean_line(speaker: Speaker, folder: Path) -> list[CallOutcome]:
    recogniser, shelf = a_recogniser(folder), a_shelf()
    return [call(person, speaker, "clean", recogniser, shelf) for person in PEOPLE]


@pytest.mark.parametrize("speaker", [PIPER, ESPEAK], ids=["piper", "espeak"])
def test_on_a_clean_line_every_caller_gets_their_own_parcel(speaker: Speaker, tmp_path: Path) -> None:
    # A process of its own: the sound of eSpeak NG depends a little on what it said before.
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
        for outcome in process.submit(calls_on_a_clean_line, speaker, tmp_path).result():
            assert outcome.is_own, "\n".join(outcome.lines)


@pytest.mark.parametrize("line", ["telephone µ-law", "telephone A-law"])
def test_on_a_telephone_most_callers_do_and_none_gets_another_persons(
    line: str, recogniser: LineRecogniser, shelf: dict[str, Shipment]
) -> None:
    outcomes = [call(person, PIPER, line, recogniser, shelf) for person in PEOPLE]
    assert not any(outcome.is_wrong for outcome in outcomes)
    assert sum(outcome.is_own for outcome in outcomes) > len(PEOPLE) / 2, [outcome.lines for outcome in outcomes]


def test_a_voice_that_no_recogniser_follows_is_told_nothing_wrong(
    recogniser: LineRecogniser, shelf: dict[str, Shipment]
) -> None:
    for person in PEOPLE[:3]:
        assert not call(person, ESPEAK, "telephone µ-law", recogniser, shelf).is_wrong
