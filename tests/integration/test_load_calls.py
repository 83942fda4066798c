"""The load suite's calls measure what they say: a slow server shows, limits are no failures, a broken call is one."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from http import HTTPStatus
from pathlib import Path

import numpy as np
import pytest
from benchmarks.load.calls import INTERRUPTING, SPOKEN, TYPED, make_call
from benchmarks.load.sample import (
    CALL,
    FIRST_AUDIO,
    LATENESS,
    REFUSED,
    SETUP,
    TURN,
    VOICE_TO_VOICE,
    YIELD,
    Sample,
)
from benchmarks.load.speech import TEXTS, Speech, path_of
from tests.kit.fake_realtime import SILENCE_S, Plan, fake_realtime
from websockets.asyncio.server import ServerConnection, serve
from websockets.http11 import Request, Response

from agentvoicebox.audio.pcm import Int16Array
from agentvoicebox.client.wav_files import write_wav
from agentvoicebox.realtime_client.dialing import CallOptions

pytestmark = pytest.mark.requirement("A16.2")

RATE_HZ = 24_000
TONE = np.asarray(9000 * np.sin(np.arange(RATE_HZ // 3) * 0.2), np.int16)
PAUSE = np.zeros(int(2 * SILENCE_S * RATE_HZ), np.int16)  # long enough for an answer
LIMIT = {"type": "rate_limit_error", "code": "rate_limit_exceeded", "message": "Too many calls for now."}


def made_of(pcm: Int16Array, folder: Path) -> Speech:
    """The same sound for each line."""
    for text in TEXTS:
        write_wav(path_of(folder, text), pcm, RATE_HZ)
    return Speech(folder)


@pytest.fixture(scope="module")
def speech(tmp_path_factory: pytest.TempPathFactory) -> Speech:
    """A tone of a third of a second for each line."""
    return made_of(TONE, tmp_path_factory.mktemp("speech"))


async def samples_of(
    url: str, speech: Speech, kind: str = SPOKEN, *, timeout_s: float = 3.0
) -> dict[str, list[Sample]]:
    """One call's samples, by kind; how late this machine's frames were is left out."""
    found: dict[str, list[Sample]] = {}
    await make_call(
        kind,
        1,
        CallOptions(url, reply_timeout_s=timeout_s),
        speech,
        lambda each: found.setdefault(each.kind, []).append(each),
    )
    found.pop(LATENESS, None)
    return found


def ms(samples: list[Sample]) -> list[float]:
    return [sample.ms for sample in samples]


async def test_a_spoken_call_measures_each_answer_once(speech: Speech) -> None:
    async with fake_realtime(Plan(["Which number?", "It is on its way."])) as server:
        found = await samples_of(server.url, speech)
    assert {kind: [each.name for each in samples] for kind, samples in found.items()} == {
        SETUP: ["spoken"],
        TURN: ["question", "number"],
        VOICE_TO_VOICE: ["question", "number"],
        FIRST_AUDIO: ["spoken", "spoken"],
        CALL: ["spoken"],
    }
    assert not any(each.fault for samples in found.values() for each in samples)
    assert min(ms(found[VOICE_TO_VOICE])) >= SILENCE_S * 1000 - 20  # less one frame: what the server waits for


async def test_a_caller_confirms_when_asked(speech: Speech) -> None:
    async with fake_realtime(Plan(["Which number?", "I heard one. Is that right?", "It is on its way."])) as server:
        found = await samples_of(server.url, speech)
    assert [each.name for each in found[TURN]] == ["question", "number", "confirmation"]


async def call_to(plan: Plan, speech: Speech, kind: str, *, timeout_s: float = 3.0) -> dict[str, list[Sample]]:
    """The samples of a call to a server of its own; several at once are no slower than one."""
    async with fake_realtime(plan) as server:
        return await samples_of(server.url, speech, kind, timeout_s=timeout_s)


async def test_a_server_that_thinks_longer_is_measured_longer(speech: Speech) -> None:
    thinks_s = 0.6
    prompt, spoken, typed = await asyncio.gather(
        call_to(Plan(["Which number?"]), speech, TYPED),
        call_to(Plan(["Which number?"], thinks_s=thinks_s), speech, SPOKEN),
        call_to(Plan(["Which number?"], thinks_s=thinks_s), speech, TYPED),
    )
    assert min(ms(prompt[FIRST_AUDIO])) < 500
    for found in (spoken, typed):
        assert len(found[TURN]) == len(found[FIRST_AUDIO]) == 2
        assert min(ms(found[FIRST_AUDIO])) >= thinks_s * 1000
        assert min(ms(found[TURN])) >= thinks_s * 1000 + 300  # and the answer's own 300 ms
    assert min(ms(spoken[VOICE_TO_VOICE])) >= (thinks_s + SILENCE_S) * 1000 - 20  # less one frame


async def test_yield_is_how_long_the_agent_speaks_on(speech: Speech) -> None:
    notices_s = (0.0, 0.5)
    plans = [Plan(["A long answer."], reply_s=2.5, notices_s=each) for each in notices_s]
    for least_s, found in zip(
        notices_s, await asyncio.gather(*(call_to(plan, speech, INTERRUPTING) for plan in plans)), strict=True
    ):
        (sample,) = found[YIELD]
        assert sample.fault == ""
        assert least_s * 1000 <= sample.ms < 2500 - 500
        assert [each.name for each in found[TURN]] == ["number"]  # the interrupted turn has no end of its own


async def test_only_what_the_caller_interrupted_yields(speech: Speech, tmp_path: Path) -> None:
    halting = made_of(np.concatenate([TONE, PAUSE, TONE]), tmp_path)
    long = Plan(["A long answer."], reply_s=2.5)
    early, stubborn, short = await asyncio.gather(
        call_to(long, halting, INTERRUPTING),  # the server answers in the caller's pause, too
        call_to(replace(long, reply_s=4.0, interrupts=False), speech, INTERRUPTING),
        call_to(replace(long, reply_s=0.3), speech, INTERRUPTING),  # over before it can be interrupted
    )
    assert [0 <= each.ms < 2500 - 500 for each in early[YIELD]] == [True]
    assert [each.fault for each in stubborn[YIELD]] == ["the agent spoke on"]
    assert YIELD not in short and [each.fault for each in short[CALL]] == [""]


async def test_a_refused_call_is_counted_by_its_limit_and_is_no_failure(speech: Speech) -> None:
    async with fake_realtime(Plan(refusal=LIMIT)) as server:
        found = await samples_of(server.url, speech)
    assert [(each.name, each.fault) for each in found.pop(REFUSED)] == [("rate_limit_exceeded", "")]
    assert found == {}


async def test_a_wrong_key_is_a_failure(speech: Speech) -> None:
    wrong = {"type": "invalid_request_error", "code": "invalid_api_key", "message": "Incorrect API key."}
    async with fake_realtime(Plan(refusal=wrong)) as server:
        found = await samples_of(server.url, speech)
    assert REFUSED not in found and "Incorrect API key." in found[SETUP][0].fault


@asynccontextmanager
async def refusing(status: HTTPStatus) -> AsyncIterator[str]:
    """A server that answers the upgrade with this status."""

    def refuse(socket: ServerConnection, request: Request) -> Response:
        return socket.respond(status, json.dumps({"error": {"message": "No."}}))

    async with serve(lambda socket: asyncio.sleep(0), "127.0.0.1", 0, process_request=refuse) as server:
        yield f"http://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}/v1"


@pytest.mark.parametrize(
    ("status", "kind", "name"),
    [
        (HTTPStatus.TOO_MANY_REQUESTS, REFUSED, "HTTP 429"),
        (HTTPStatus.SERVICE_UNAVAILABLE, REFUSED, "HTTP 503"),
        (HTTPStatus.UNAUTHORIZED, SETUP, "spoken"),
    ],
)
async def test_statuses_of_limits_are_refusals_and_others_failures(
    speech: Speech, status: HTTPStatus, kind: str, name: str
) -> None:
    async with refusing(status) as url:
        found = await samples_of(url, speech)
    ((found_kind, (sample,)),) = found.items()
    assert (found_kind, sample.name, bool(sample.fault)) == (kind, name, kind == SETUP)


async def test_no_server_is_a_failure(speech: Speech) -> None:
    found = await samples_of("http://127.0.0.1:9/v1", speech)
    assert list(found) == [SETUP] and "no Realtime server" in found[SETUP][0].fault


async def test_a_call_that_breaks_fails_and_so_does_its_turn(speech: Speech) -> None:
    async with fake_realtime(Plan(closes_after_turn=1)) as server:
        found = await samples_of(server.url, speech)
    assert [bool(each.fault) for each in found[TURN]] == [True] and "1011" in found[CALL][0].fault
    assert VOICE_TO_VOICE not in found


async def test_a_mute_server_fails_the_turn_and_ends_the_call(speech: Speech) -> None:
    mute = Plan(thinks_s=1.5)
    kinds = (SPOKEN, INTERRUPTING, TYPED)
    for found in await asyncio.gather(*(call_to(mute, speech, kind, timeout_s=0.5) for kind in kinds)):
        (turn,) = found[TURN]
        assert turn.fault in ("no whole reply within 0.5 s", "no answer to interrupt")
        assert found.keys() <= {SETUP, TURN, CALL}


async def test_an_answer_in_words_alone_is_a_failure_of_a_voice(speech: Speech) -> None:
    async with fake_realtime(Plan(reply_s=0.0)) as server:
        found = await samples_of(server.url, speech, TYPED)
    assert {each.fault for each in found[TURN]} == {"an answer without audio"}


def test_files_of_other_words_are_other_files() -> None:
    assert len({path_of(Path(), text) for text in TEXTS}) == len(TEXTS) == 22
