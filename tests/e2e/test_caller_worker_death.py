"""Kill -9 of a worker in the middle of a turn costs the caller time, never the turn."""

import os
import signal
from collections.abc import Callable

import pytest
from tests.kit.processes import family, pid_of
from tests.kit.waiting import PATIENCE_S, until

from agentvoicebox.cli.local_server import LocalServer
from agentvoicebox.client.caller import open_call
from agentvoicebox.client.line import SpokenLine
from agentvoicebox.realtime_client.dialing import CallOptions

pytestmark = pytest.mark.requirement("C4")

PROCESSES = {"speech", "worker", "gateway"}
YES = "Yes, that's right."
NUMBER = "It's P, K, G, zero, zero, four."


@pytest.fixture(autouse=True)
async def all_processes_are_back(server: LocalServer) -> None:
    """The server of the session is whole again before the next test."""
    await until(lambda: PROCESSES - {member.name for member in family(server.pid)}, "processes missing")


def kill(server: LocalServer, process: str) -> None:
    os.kill(pid_of(server.pid, process), signal.SIGKILL)


@pytest.mark.parametrize("process", ["speech", "worker"])
async def test_a_worker_killed_while_the_caller_speaks_costs_no_turn(
    server: LocalServer, say: Callable[[str], SpokenLine], process: str
) -> None:
    async with open_call(CallOptions(server.url, reply_timeout_s=PATIENCE_S)) as call:
        line = say(NUMBER)
        turn = call.start_saying(line)
        await call.stay_connected(line.duration_s * 0.8)
        kill(server, process)
        await call.wait_for_reply(turn)
        assert not turn.problem, turn.problem
        assert "zero zero four" in turn.replied
        if "Is that" in turn.replied:  # it makes sure of a number that came unasked
            turn = await call.say(say(YES))
        assert "out for delivery" in turn.replied


async def test_a_speech_worker_killed_in_the_middle_of_its_sentence_is_heard_to_the_end(
    server: LocalServer, say: Callable[[str], SpokenLine]
) -> None:
    async with open_call(CallOptions(server.url, reply_timeout_s=PATIENCE_S)) as call:
        whole = await call.say(say(NUMBER))
        record = call.record()
    assert whole.reply_end_s is not None and whole.first_audio_s is not None
    whole_s = (
        whole.reply_end_s - whole.first_audio_s - record.gap_ms / 1000
    )  # a busy machine has gaps without a death, too
    async with open_call(CallOptions(server.url, reply_timeout_s=PATIENCE_S)) as call:
        turn = call.start_saying(say(NUMBER))
        await call.wait_until_heard(0.05)
        kill(server, "speech")
        await call.wait_for_reply(turn)
        record = call.record()
    assert not turn.problem, turn.problem
    assert turn.replied == whole.replied
    assert turn.reply_end_s is not None and turn.first_audio_s is not None
    heard_s = turn.reply_end_s - turn.first_audio_s - record.gap_ms / 1000
    assert heard_s == pytest.approx(whole_s, abs=0.05)  # nothing missing, nothing twice
