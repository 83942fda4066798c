"""Batches over sessions: order, state, company, and what a failing model does."""

import asyncio
import threading

import numpy as np
import pytest
from tests.kit.scripted_vad import ScriptedVad
from tests.kit.waiting import PATIENCE_S

from agentvoicebox.audio.pcm import Float32Array
from agentvoicebox.errors import BadProviderAnswer, ProviderUnavailable
from agentvoicebox.gateway.audio.vad_batch import VadBatcher, VadSlot


def window(value: float = 0.0) -> Float32Array:
    return np.full(512, value, dtype=np.float32)


class CountingVad:
    """Probability and state tell what a session was given: its count of windows, and the sum of their levels."""

    def __init__(self) -> None:
        self.batches: list[int] = []
        self.threads: set[str] = set()
        self.go_on = threading.Event()
        self.go_on.set()
        self.began = threading.Event()

    def new_state(self) -> Float32Array:
        return np.zeros(1, dtype=np.float32)

    def probabilities(self, windows: Float32Array, states: Float32Array) -> tuple[Float32Array, Float32Array]:
        self.began.set()
        assert self.go_on.wait(10)
        self.threads.add(threading.current_thread().name)
        self.batches.append(len(windows))
        states = states + windows[:, :1]
        return states[:, 0], states


async def test_each_session_has_its_own_state_and_order() -> None:
    batcher = VadBatcher(CountingVad())
    heard: dict[int, list[tuple[float, int]]] = {}

    def opened(number: int) -> VadSlot:
        heard[number] = []
        return batcher.open(lambda probability, end: heard[number].append((probability, end)))

    slots = [opened(number) for number in range(20)]
    for step in range(1, 6):
        for number, slot in enumerate(slots):
            slot.submit(window(number), step * 512)
    await asyncio.gather(*(slot.settled() for slot in slots))
    assert heard == {number: [(number * step, step * 512) for step in range(1, 6)] for number in range(20)}
    await batcher.close()


async def test_windows_that_wait_while_a_batch_runs_go_together() -> None:
    vad = CountingVad()
    batcher = VadBatcher(vad)
    slots = [batcher.open(lambda *_: None) for _ in range(9)]
    vad.go_on.clear()
    slots[0].submit(window(), 512)
    await asyncio.to_thread(vad.began.wait, 10)
    for slot in slots[1:]:
        slot.submit(window(), 512)
    assert slots[1].waiting == 1
    vad.go_on.set()
    await asyncio.gather(*(slot.settled() for slot in slots))
    assert vad.batches == [1, 8]
    assert slots[1].waiting == 0
    assert len(vad.threads) == 1
    assert threading.current_thread().name not in vad.threads
    await batcher.close()


async def turns_of_the_loop() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


async def test_windows_that_come_soon_after_a_call_gather_until_somebody_waits_for_them() -> None:
    vad = CountingVad()
    batcher = VadBatcher(vad, pace_s=3_600)
    slots = [batcher.open(lambda *_: None) for _ in range(4)]
    slots[0].submit(window(), 512)
    await asyncio.wait_for(slots[0].settled(), PATIENCE_S)
    for slot in slots[1:]:
        slot.submit(window(), 512)
        await turns_of_the_loop()
    assert vad.batches == [1]
    await asyncio.wait_for(slots[2].settled(), PATIENCE_S)
    assert vad.batches == [1, 3]
    await batcher.close()


async def test_a_session_that_is_behind_is_not_kept_waiting() -> None:
    vad = CountingVad()
    batcher, judged = VadBatcher(vad, pace_s=3_600), asyncio.Event()
    slot = batcher.open(lambda _, end: judged.set() if end == 2_048 else None)
    slot.submit(window(), 512)
    await asyncio.wait_for(slot.settled(), PATIENCE_S)
    for number in (2, 3, 4):
        slot.submit(window(), number * 512)
        await turns_of_the_loop()
    # the last one is alone again: it waits for company, or for somebody who needs it
    await asyncio.wait_for(slot.settled(), PATIENCE_S)
    assert judged.is_set()
    assert vad.batches == [1, 1, 1, 1]
    await batcher.close()


async def test_who_leaves_while_windows_gather_leaves_nothing_to_do() -> None:
    vad = CountingVad()
    batcher = VadBatcher(vad, pace_s=3_600)
    stayer, leaver = batcher.open(lambda *_: None), batcher.open(lambda *_: None)
    stayer.submit(window(), 512)
    await asyncio.wait_for(stayer.settled(), PATIENCE_S)
    leaver.submit(window(), 512)
    await turns_of_the_loop()
    leaver.close()
    await asyncio.wait_for(batcher.close(), PATIENCE_S)
    assert vad.batches == [1]


async def test_who_leaves_during_a_batch_hears_nothing_more_and_others_do() -> None:
    vad = CountingVad()
    batcher = VadBatcher(vad)
    left: list[int] = []
    stayed: list[int] = []
    leaver, stayer = batcher.open(lambda _, end: left.append(end)), batcher.open(lambda _, end: stayed.append(end))
    vad.go_on.clear()
    for slot in (leaver, stayer):
        slot.submit(window(), 512)
        slot.submit(window(), 1_024)
    await asyncio.to_thread(vad.began.wait, 10)
    leaver.close()
    vad.go_on.set()
    await asyncio.wait_for(asyncio.gather(leaver.settled(), stayer.settled()), PATIENCE_S)
    assert (left, stayed) == ([], [512, 1_024])
    assert vad.batches == [2, 1]
    await batcher.close()


async def test_a_restart_forgets_what_was_heard_but_not_what_is_in_line() -> None:
    batcher = VadBatcher(CountingVad())
    heard: list[float] = []
    slot = batcher.open(lambda probability, _: heard.append(probability))
    slot.submit(window(1), 512)
    slot.submit(window(1), 1_024)
    slot.restart()
    slot.submit(window(1), 1_536)
    slot.submit(window(1), 2_048)
    await slot.settled()
    assert heard == [1, 2, 1, 2]
    await batcher.close()


@pytest.mark.parametrize(
    ("raised", "seen"), [(ProviderUnavailable("gone"), ProviderUnavailable), (RuntimeError("bug"), BadProviderAnswer)]
)
async def test_a_failing_model_is_told_to_whoever_waits_or_comes(raised: Exception, seen: type[Exception]) -> None:
    class Failing(ScriptedVad):
        def probabilities(self, windows: Float32Array, states: Float32Array) -> tuple[Float32Array, Float32Array]:
            raise raised

    batcher = VadBatcher(Failing([]))
    slot = batcher.open(lambda *_: None)
    slot.submit(window(), 512)
    with pytest.raises(seen):
        await asyncio.wait_for(slot.settled(), PATIENCE_S)
    with pytest.raises(seen):
        slot.submit(window(), 1_024)
    slot.close()
    await batcher.close()


async def test_a_session_that_chokes_on_its_answer_does_not_stop_the_others() -> None:
    batcher = VadBatcher(ScriptedVad([0.5]))
    heard: list[float] = []

    def choke(_: float, __: int) -> None:
        raise RuntimeError("a bug in this session")

    choking, fine = batcher.open(choke), batcher.open(lambda probability, _: heard.append(probability))
    for slot in (choking, fine):
        slot.submit(window(), 512)
    await asyncio.wait_for(fine.settled(), PATIENCE_S)
    assert heard == [0.5]
    with pytest.raises(BadProviderAnswer):
        await choking.settled()
    await batcher.close()
