"""One order of urgency for the engines of a machine: what begins next, by a clock that the test moves."""

import asyncio
import threading
from collections import Counter
from concurrent.futures import Future
from dataclasses import dataclass, field

import pytest
from tests.kit.waiting import PATIENCE_S

from agentvoicebox.workers import urgent_queue
from agentvoicebox.workers.urgent_queue import AHEAD_S, Due, EngineWork, UrgentQueue
from agentvoicebox.workers.urgent_threads import EngineThreads, UrgentThreads

STT, TTS = "stt", "tts"
DECODE_S, CHUNK_S, CHUNK_PLAYS_S = 0.32, 0.3, 1.4  # of an engine without AVX-512


def work(share: str, due_s: float, *, is_guess: bool = False) -> EngineWork:
    return EngineWork(share, Due(due_s, is_guess), Future(), lambda: None)


def queue(*waiting: EngineWork, stt: int = 2, tts: int = 2) -> UrgentQueue:
    made = UrgentQueue({STT: stt, TTS: tts})
    made.waiting.extend(waiting)
    return made


def test_a_decode_and_a_first_sound_go_before_chunks_of_either_role() -> None:
    later, decode, first = work(TTS, 0.8), work(STT, 0.1), work(TTS, 0.0)
    line = queue(later, decode, first)
    assert [line.take(0.0, 2, {}) for _ in range(3)] == [first, decode, later]
    assert line.take(0.0, 2, {}) is None


def test_speech_that_lies_ahead_leaves_a_thread_free() -> None:
    ahead = work(TTS, 5.0)
    line = queue(ahead)
    assert line.take(0.0, 2, {TTS: 1}) == pytest.approx(
        5.0 - AHEAD_S
    )  # it waits until it is due, or another thread is free
    assert line.take(0.0, 2, {}) is ahead


def test_speech_that_lay_ahead_goes_on_when_it_is_due() -> None:
    ahead = work(TTS, 5.0)
    assert queue(ahead).take(5.0 - AHEAD_S, 2, {TTS: 1}) is ahead


def test_what_is_never_due_begins_on_a_free_thread_and_no_thread_waits_for_its_time() -> None:
    never = work(TTS, float("inf"))  # a line that is prepared
    line = queue(never)
    assert line.take(0.0, 2, {TTS: 1}) is None
    line.waiting.append(work(TTS, 5.0))
    assert line.take(0.0, 2, {STT: 1}) == pytest.approx(5.0 - AHEAD_S)
    line.waiting.pop()
    assert line.take(0.0, 2, {}) is never


def test_one_core_is_not_idle_while_speech_lies_ahead() -> None:
    ahead, decode = work(TTS, 5.0), work(STT, 0.0)
    line = queue(ahead, decode)
    assert [line.take(0.0, 1, {}), line.take(0.0, 1, {})] == [decode, ahead]


def test_a_busy_machine_decodes_no_guesses() -> None:
    guess, ended, first = work(STT, 0.0, is_guess=True), work(STT, 0.2), work(TTS, 0.1)
    line = queue(guess, ended, first)
    assert line.take(0.0, 2, {}) is first
    assert line.take(0.0, 2, {TTS: 1}) is guess  # as much waits now as a free thread does: it has its turn
    line = queue(guess, ended, first)
    assert line.take(0.0, 2, {STT: 1}) is first


def test_a_guess_that_became_certain_is_none() -> None:
    guess, ended, first = work(STT, 0.3, is_guess=True), work(STT, 0.2), work(TTS, 0.1)
    line = queue(guess, ended, first)
    guess.due.at_s, guess.due.is_guess = 0.0, False
    assert line.take(0.0, 2, {}) is guess


def test_a_share_has_its_limit_and_no_more_run_than_there_are_threads() -> None:
    first, second, chunk = work(STT, 0.0), work(STT, 0.1), work(TTS, 0.5)
    line = queue(first, second, chunk, stt=1)
    assert line.take(0.0, 3, {}) is first
    assert line.take(0.0, 3, {STT: 1}) is chunk
    assert line.take(0.0, 3, {STT: 1, TTS: 1}) is None  # a thread is free, but recognition has its one
    assert line.take(0.0, 2, {TTS: 2}) is None
    assert line.take(0.0, 2, {TTS: 1}) is second


def test_cancelled_work_never_begins() -> None:
    gone, here = work(STT, 0.0), work(STT, 1.0)
    gone.future.cancel()
    line = queue(gone, here)
    assert line.take(0.5, 2, {}) is here
    assert line.waiting == []


@dataclass
class Machine:
    """Threads in a time of its own: each piece of work takes as long as its share's engine."""

    threads: int
    line: UrgentQueue
    now_s: float = 0.0
    running: list[tuple[float, EngineWork]] = field(default_factory=list)
    begun_s: dict[EngineWork, float] = field(default_factory=dict)

    def begin(self) -> float:
        """Begin what may; the time of the next event of the machine itself."""
        wake_s = float("inf")
        while isinstance(found := self.line.take(self.now_s, self.threads, self.counts()), EngineWork):
            self.begun_s[found] = self.now_s
            self.running.append((self.now_s + (DECODE_S if found.share == STT else CHUNK_S), found))
        if isinstance(found, float):
            wake_s = self.now_s + found
        return min([wake_s, *(end_s for end_s, _ in self.running)])

    def counts(self) -> Counter[str]:
        return Counter(each.share for _, each in self.running)

    def ended(self) -> list[EngineWork]:
        over = [each for end_s, each in self.running if end_s <= self.now_s]
        self.running = [(end_s, each) for end_s, each in self.running if end_s > self.now_s]
        return over


def simulated() -> tuple[float, float]:
    """Three answers of ten chunks each on two threads, while a caller stops speaking every 0.7 s.

    Returns the seconds that decodes waited, all together, and by how much the latest chunk was ready before it was due.
    """
    machine = Machine(2, queue())
    numbers: dict[EngineWork, int] = {}
    decodes: list[EngineWork] = []
    margins_s = []

    def say(number: int) -> None:
        chunk = work(TTS, number * CHUNK_PLAYS_S)
        numbers[chunk] = number
        machine.line.waiting.append(chunk)

    for _ in range(3):
        say(0)
    arrivals_s = [0.7 * n for n in range(1, 12)]
    while arrivals_s or machine.running or machine.line.waiting:
        machine.now_s = max(machine.now_s, min([machine.begin(), *arrivals_s[:1]]))
        for done in machine.ended():
            number = numbers.get(done)
            if number:
                margins_s.append(done.due.at_s - machine.now_s)
            if number is not None and number < 9:
                say(number + 1)
        while arrivals_s and arrivals_s[0] <= machine.now_s:
            decodes.append(work(STT, arrivals_s.pop(0)))
            machine.line.waiting.append(decodes[-1])
    assert (len(decodes), len(margins_s)) == (11, 27)
    return sum(machine.begun_s[each] - each.due.at_s for each in decodes), min(margins_s)


def test_decodes_wait_less_and_no_caller_runs_out_of_speech(monkeypatch: pytest.MonkeyPatch) -> None:
    waited_s, margin_s = simulated()
    monkeypatch.setattr(urgent_queue, "AHEAD_S", float("inf"))  # by deadline alone
    assert waited_s < simulated()[0] / 2
    assert margin_s >= 0  # each chunk is rendered before the caller has heard the one before


async def test_two_roles_share_the_threads_of_a_process() -> None:
    pool = EngineThreads(2)
    stt, tts = (UrgentThreads(2, name=name, engine_threads=pool) for name in (STT, TTS))
    gate, begun, order = threading.Event(), threading.Semaphore(0), []

    def hold() -> None:
        begun.release()
        assert gate.wait(PATIENCE_S)

    busy = [asyncio.ensure_future(tts.run(hold, due=Due(0.0))) for _ in range(2)]
    for _ in busy:
        assert await asyncio.to_thread(begun.acquire, timeout=PATIENCE_S)
    chunk = asyncio.ensure_future(tts.run(lambda: order.append(TTS), due=Due(2.0)))
    decode = asyncio.ensure_future(stt.run(lambda: order.append(STT), due=Due(1.0)))
    assert (stt.waiting, tts.waiting) == (1, 1) and order == []  # two threads, both busy
    gate.set()
    await asyncio.gather(*busy, chunk, decode)
    assert order[0] == STT
    stt.close()
    assert await tts.run(lambda: 7, due=Due(0.0)) == 7  # the other role goes on
    with pytest.raises(RuntimeError, match="closed"):
        stt.run(lambda: None, due=Due(0.0))
    tts.close()
    assert pool.is_closed


def test_a_share_that_may_use_more_threads_gets_them() -> None:
    pool = EngineThreads(1)
    many = UrgentThreads(3, name=STT, engine_threads=pool)
    assert pool.count == 3
    with pytest.raises(ValueError, match="already"):
        UrgentThreads(1, name=STT, engine_threads=pool)
    with pytest.raises(ValueError, match="too few"):
        UrgentThreads(0, name=TTS, engine_threads=pool)
    many.close()
