"""Telephone calls of all providers over a real gateway: greeting, answers, interruptions, keys, transfer, and faults."""

import xml.etree.ElementTree as ElementTree
from collections.abc import AsyncIterator, Iterator

import pytest
from tests.kit.gateway import CHUNK_SAMPLES, Gateway, Workers, calls_tool, calm, gateway, says
from tests.kit.telephone_line import CALL_ID, TelephoneLine, signed, telephone_line
from tests.kit.telephone_place import (
    PROVIDERS,
    STREAM,
    TOKEN,
    URL,
    WRONG_CREDENTIALS,
    TelephonePlace,
    opened,
)
from tests.kit.waiting import until
from websockets.exceptions import InvalidStatus

from agentvoicebox.broker.redis_streams import RedisBroker
from agentvoicebox.engine.inputs import Generated, TextDelta, ToolCallDelta, WorkerInput
from agentvoicebox.engine.jobs import Generate, Synthesise
from agentvoicebox.ports.broker import JobKind
from agentvoicebox.telephony.app import AFTER_PATH, ASTERISK_AFTER_PATH, VOICE_PATH
from agentvoicebox.telephony.call_tools import LEFT
from agentvoicebox_delivery.dialogue import phrases
from agentvoicebox_delivery.language_models.dialogue import DialogueLlm

pytestmark = pytest.mark.requirement("C10")

ANSWER_MS = 2 * CHUNK_SAMPLES / 24


@pytest.fixture
async def place(served: Gateway) -> AsyncIterator[TelephonePlace]:
    async with opened((f"http://127.0.0.1:{served.port}/v1",), agent="delivery", has_transfer=True) as made:
        yield made


def has_answer(line: TelephoneLine, count: int = 1) -> bool:
    return line.queued_ms() + len(line.heard) / 8 >= count * ANSWER_MS - 1


def words_of(job: object) -> list[tuple[str, str]]:
    assert isinstance(job, Generate)
    return [(message.role, message.text) for message in job.messages]


@pytest.mark.parametrize("provider", PROVIDERS)
async def test_a_caller_is_greeted_and_answered_in_the_lines_own_format(
    place: TelephonePlace, workers: Workers, provider: str
) -> None:
    async with place.line(provider) as line:
        await line.start()
        await line.until(has_answer)
        await line.play()
        await line.speak()
        await line.until(lambda it: has_answer(it, 2))
        await line.play()
        jobs = await workers.wait_for(JobKind.LLM, 2)
        assert words_of(jobs[-1])[-1] == ("user", "where is my parcel")
        assert len(line.heard) == pytest.approx(2 * ANSWER_MS * 8, abs=16)
        assert len(set(line.heard)) > 50, "the caller heard silence"
        assert place.count("avb_telephone_calls", provider=provider) == 1
        await line.hang_up()
        await line.until(lambda it: it.closed is not None)
    ended = {"provider": provider, "outcome": "caller_left"}
    await until(lambda: not place.count("avb_telephone_calls_ended_total", **ended), "the call has not ended")


@pytest.mark.parametrize("provider", PROVIDERS)
async def test_who_interrupts_gets_silence_and_the_agent_knows_what_was_heard(
    place: TelephonePlace, workers: Workers, provider: str
) -> None:
    workers.chunks = 40  # four seconds
    workers.writes = says("one two three four five six seven eight nine ten")
    async with place.line(provider) as line:
        await line.start()
        await line.until(lambda it: it.queued_ms() >= 3_900)
        await line.play(2_000)
        await line.speak(pause_ms=0)
        await line.until(lambda it: bool(it.cleared))
        await line.speak(ms=0)
        assert line.cleared[0] == pytest.approx(2_000 * 8, abs=1_600)
        jobs = await workers.wait_for(JobKind.LLM, 2)
        (said,) = [text for role, text in words_of(jobs[-1]) if role == "assistant"]
        assert said.split()[:4] == ["one", "two", "three", "four"]
        assert 4 <= len(said.split()) <= 6, said


@pytest.mark.parametrize("provider", PROVIDERS)
async def test_a_number_that_is_typed_on_the_keys_is_an_item_of_the_caller(
    place: TelephonePlace, workers: Workers, provider: str
) -> None:
    async with place.line(provider) as line:
        await line.start()
        await line.until(has_answer)
        await line.press("9400#")
        jobs = await workers.wait_for(JobKind.LLM, 2)
        assert words_of(jobs[-1])[-1] == ("user", "9400")
        await line.until(lambda it: bool(it.cleared))  # the first key silenced the greeting


async def test_a_greeting_may_be_whole(served: Gateway, workers: Workers) -> None:
    workers.chunks = 20
    async with (
        opened((f"http://127.0.0.1:{served.port}/v1",), greeting_is_whole=True) as place,
        place.line("twilio") as line,
    ):
        await line.start()
        await line.until(lambda it: it.queued_ms() >= 1_900)
        await line.speak()
        await line.until(lambda it: has_answer(it))
        await workers.wait_for(JobKind.STT)
        assert not line.cleared
        await line.play()
        await workers.wait_for(JobKind.LLM, 2)  # what was said meanwhile is answered
        await line.until(lambda it: it.queued_ms() >= 1_900)
        await line.play(500)
        await line.speak()
        await line.until(lambda it: bool(it.cleared))  # and from then on the caller may interrupt


@pytest.mark.parametrize(
    ("tool", "then"), [("hang_up", "Hangup"), ("transfer_call", "Dial")], ids=["hang up", "transfer"]
)
async def test_the_agent_ends_the_call_after_its_last_words(
    place: TelephonePlace, workers: Workers, tool: str, then: str
) -> None:
    async with place.line("twilio") as line:
        await line.start()
        await line.until(has_answer)
        await line.play()
        workers.writes = calls_tool(tool, "{}", "")
        await line.speak()
        await line.until(lambda it: it.closed is not None)
    assert place.count("avb_telephone_calls", provider="twilio") == 0
    script = ElementTree.fromstring((await place.post(AFTER_PATH, {"CallSid": CALL_ID})).text)
    assert script[0].tag == then
    if then == "Dial":
        assert script[0][0].text == "+4930123456"
    again = ElementTree.fromstring((await place.post(AFTER_PATH, {"CallSid": CALL_ID})).text)
    assert again[0].tag == "Hangup"  # the transfer is made once


def says_goodbye(request: Generate, job_id: str) -> Iterator[WorkerInput]:
    """A language model that says something, and hangs up."""
    yield TextDelta(job_id, "Goodbye.")
    yield ToolCallDelta(job_id, 0, "hang_up", "{}")
    yield Generated(job_id, "tool_calls")


def follows_rules(request: Generate, job_id: str) -> Iterator[WorkerInput]:
    """The delivery agent's own model, which waits for nothing."""
    stream = DialogueLlm().generate(request, job_id)
    while True:
        try:
            stream.asend(None).send(None)
        except StopIteration as found:
            yield found.value
        except StopAsyncIteration:
            return


@pytest.mark.parametrize("provider", PROVIDERS)
async def test_an_agent_with_rules_hangs_up_when_the_caller_has_said_goodbye_and_its_last_words_were_played(
    place: TelephonePlace, workers: Workers, provider: str
) -> None:
    workers.writes = follows_rules
    workers.hears = "No, thanks. Goodbye."
    async with place.line(provider) as line:
        await line.start()
        await line.until(has_answer)
        await line.play()
        await line.speak()
        await line.until(lambda it: it.queued_ms() > 0)
        await workers.wait_for(JobKind.LLM, 2)
        assert line.closed is None, "the caller has not heard the last words"
        line.plays_at_once = True
        await line.play()
        await line.until(lambda it: it.closed is not None)
    said = " ".join(each.text for each in await workers.wait_for(JobKind.TTS) if isinstance(each, Synthesise))
    assert said.endswith(phrases.GOODBYE)
    ended_by = {"provider": provider, "outcome": "agent_left"}
    await until(lambda: not place.count("avb_telephone_calls_ended_total", **ended_by), "the agent has not hung up")


@pytest.mark.parametrize("provider", PROVIDERS)
async def test_who_says_more_while_the_agent_says_goodbye_stays_on_the_line(
    place: TelephonePlace, workers: Workers, provider: str
) -> None:
    workers.chunks = 20  # two seconds
    workers.writes = says_goodbye
    async with place.line(provider) as line:
        await line.start()
        await line.until(lambda it: it.queued_ms() >= 1_900)
        await line.play(1_000)
        workers.writes = says("It is on its way.")
        await line.speak()
        await line.until(lambda it: bool(it.cleared))
        await line.until(lambda it: it.queued_ms() >= 1_900)
        await line.play()
        workers.writes = says_goodbye
        await line.speak()
        await line.until(lambda it: it.queued_ms() >= 1_900)
        assert line.closed is None
        await line.play()
        await line.until(lambda it: it.closed is not None)


async def test_a_call_goes_on_when_the_response_that_hangs_up_is_interrupted(
    place: TelephonePlace, workers: Workers
) -> None:
    workers.chunks, workers.pace_s = 40, 0.1  # the words come while they are spoken
    workers.writes = says_goodbye
    async with place.line("twilio") as line:
        await line.start()
        await line.until(lambda it: it.queued_ms() >= 500)
        workers.writes = says("It is on its way.")
        await line.play(300)
        await line.speak()
        await line.until(lambda it: bool(it.cleared))
        await line.until(lambda it: it.queued_ms() >= 1_000)
        line.plays_at_once = True
        await line.play()
        heard = len(line.heard)
        await line.until(lambda it: len(it.heard) >= heard + 4_000)
        await line.speak()
        jobs = await workers.wait_for(JobKind.LLM, 3)
        assert ("tool", LEFT) in words_of(jobs[-1])


async def test_an_agent_with_rules_puts_a_caller_of_asterisk_through_when_its_script_asks_afterwards(
    place: TelephonePlace, workers: Workers
) -> None:
    workers.writes = follows_rules
    workers.hears = "I want to speak to a person."
    async with place.line("asterisk") as line:
        line.plays_at_once = True
        await line.start(AVB_CALL="17.0")
        await line.until(has_answer)
        await line.speak()
        await line.until(lambda it: it.closed is not None)
        assert line.hung_up
    for credential, path, answer in (
        ("wrong", f"{ASTERISK_AFTER_PATH}?call=17.0", (403, "The credential is invalid.\n")),
        (TOKEN, f"{ASTERISK_AFTER_PATH}?call=18.0", (200, "hangup")),
        (TOKEN, f"{ASTERISK_AFTER_PATH}?call=17.0", (200, "dial:+4930123456")),
        (TOKEN, f"{ASTERISK_AFTER_PATH}?call=17.0", (200, "hangup")),  # the transfer is made once
        (TOKEN, ASTERISK_AFTER_PATH, (200, "hangup")),
    ):
        found = await place.get(path, {"Authorization": f"Bearer {credential}"})
        assert (found.status_code, found.text) == answer


@pytest.mark.parametrize(
    ("provider", "parameters", "has_transfer"),
    [("twilio", {}, True), ("telnyx", {}, False), ("asterisk", {}, False), ("asterisk", {"__AVB_CALL": "17.0"}, True)],
)
async def test_a_transfer_is_offered_only_where_the_line_can_make_it(
    place: TelephonePlace, workers: Workers, provider: str, parameters: dict[str, str], has_transfer: bool
) -> None:
    async with place.line(provider) as line:
        await line.start(**parameters)
        (job,) = await workers.wait_for(JobKind.LLM)
        assert isinstance(job, Generate)
        assert ("transfer_call" in {tool.name for tool in job.tools}) == has_transfer


async def test_twilio_is_told_where_to_send_the_call_with_what_its_webhooks_address_names(
    place: TelephonePlace,
) -> None:
    path = f"{VOICE_PATH}?agent=delivery"
    answer = await place.post(path, {"CallSid": CALL_ID, "From": "+4930123"})
    assert answer.headers["content-type"].startswith("application/xml")
    (connect,) = ElementTree.fromstring(answer.text)
    assert connect.attrib["action"] == URL + AFTER_PATH
    assert connect[0].attrib["url"] == STREAM
    assert {each.attrib["name"]: each.attrib["value"] for each in connect[0]} == {"agent": "delivery"}


async def test_who_shows_no_valid_credential_is_refused(place: TelephonePlace) -> None:
    wrong = signed("guessed", STREAM)
    for provider, headers in (
        ("twilio", {}),
        ("twilio", wrong),
        ("telnyx", {}),
        ("asterisk", {"Authorization": "Bearer x"}),
    ):
        with pytest.raises(InvalidStatus) as refused:
            async with telephone_line(place.port, provider, headers=headers):
                pass
        assert refused.value.response.status_code == 403
    assert (
        await place.post(VOICE_PATH, {"CallSid": "CA1"}, headers=signed("guessed", URL + VOICE_PATH))
    ).status_code == 403
    assert place.count("avb_telephone_refusals_total", provider="twilio", reason="signature") == 3


async def test_who_guesses_is_slowed_down_and_good_credentials_are_served_meanwhile(place: TelephonePlace) -> None:
    wrong = signed("guessed", URL + VOICE_PATH)
    answers = [await place.post(VOICE_PATH, {"CallSid": "CA1"}, headers=wrong) for _ in range(WRONG_CREDENTIALS + 1)]
    assert [each.status_code for each in answers] == [403] * WRONG_CREDENTIALS + [429]
    assert int(answers[-1].headers["retry-after"]) > 0
    async with place.line("telnyx") as line:
        await line.start()
        await line.until(has_answer)


async def test_a_form_without_end_is_refused(place: TelephonePlace) -> None:
    assert (await place.post(VOICE_PATH, {"CallSid": "x" * 70_000})).status_code == 413


async def test_a_full_house_is_told_at_once(served: Gateway) -> None:
    url = f"http://127.0.0.1:{served.port}/v1"
    async with opened((url,), most_calls=1) as place, place.line("telnyx") as line:
        await line.start()
        await line.until(has_answer)
        with pytest.raises(InvalidStatus) as refused:
            async with place.line("telnyx"):
                pass
        assert refused.value.response.status_code == 503
        apology = ElementTree.fromstring((await place.post(VOICE_PATH, {"CallSid": "CA1"})).text)
        assert [each.tag for each in apology] == ["Say", "Hangup"]


async def test_without_a_gateway_the_caller_hears_an_apology() -> None:
    async with opened(("http://127.0.0.1:9/v1",)) as place:
        async with place.line("twilio") as line:
            await line.start()
            await line.until(lambda it: it.closed is not None)
        apology = ElementTree.fromstring((await place.post(AFTER_PATH, {"CallSid": CALL_ID})).text)
        assert [each.tag for each in apology] == ["Say", "Hangup"]


async def test_what_could_not_be_spoken_is_spoken_when_a_voice_is_there_again(
    redis_broker: RedisBroker, workers: Workers
) -> None:
    health = calm()
    health.absent = frozenset({JobKind.TTS})
    async with (
        gateway(redis_broker, health=health) as served,
        opened((f"http://127.0.0.1:{served.port}/v1",)) as place,
        place.line("twilio") as line,
    ):
        await line.start()
        await workers.wait_for(JobKind.LLM)
        health.absent = frozenset()
        served.state.sessions.publish_health()
        await line.until(has_answer)


async def test_a_line_that_can_not_be_read_is_closed_and_its_neighbour_goes_on(place: TelephonePlace) -> None:
    async with place.line("twilio") as neighbour, place.line("twilio") as line:
        await neighbour.start()
        await line.start()
        await line.until(has_answer)
        await line.send_raw('{"event": "media", "media": {"payload": "%%%"}}')
        await line.until(lambda it: it.closed is not None)
        assert line.closed == (1007, "a message's audio is no base64")
        await neighbour.until(has_answer)
        await neighbour.play()
        await neighbour.speak()
        await neighbour.until(lambda it: has_answer(it, 2))
