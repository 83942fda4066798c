"""P3: the chunks of a segment keep their order, without gap or duplicate, also when workers die or lose their jobs in mid-speech.

Each worker cuts its chunks at a length of its own, so whoever goes on must do so at the sample.
"""

import asyncio
import hashlib
from contextlib import AsyncExitStack
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tests.kit.property_search import NO_PATIENCE_S, emptied, examples
from tests.kit.synthesis_world import NEVER, QUICK_IDLE_S, Speaker, WatchedTts, synthesis_world
from tests.kit.waiting import PATIENCE_S

from agentvoicebox.broker import connection
from agentvoicebox.ports.broker import SessionRef
from agentvoicebox.workers.runner import Task
from agentvoicebox.workers.tts import TtsWork

pytestmark = pytest.mark.requirement("A7")

Fate = tuple[int, str, int]  # chunk length in ms; lives, dies, or is deaf; the run of its engine at which it dies
FATE = st.tuples(st.integers(20, 400), st.sampled_from(["dies", "dies", "deaf"]), st.integers(1, 5))
SEGMENTS = st.lists(st.tuples(st.integers(0, 1), st.text(alphabet="abc .", max_size=24)), min_size=1, max_size=3)
A_WORKER_DIES = {"segments": [(0, "abcabcabcabc")], "fates": [(90, "dies", 4)], "last_ms": 70}
A_WORKER_IS_DEAF = {"segments": [(0, "abcabcabcabc")], "fates": [(90, "deaf", 1)], "last_ms": -70}


async def play(
    url: str, segments: list[tuple[int, str]], fates: list[Fate], last_ms: int, patience_s: float = PATIENCE_S
) -> None:
    """The workers start one after the other, as each dies; the deaf ones work beside the next.

    `last_ms`: chunk length of the last worker, which lives; below zero it is slow, too.
    """
    async with AsyncExitStack() as stack:
        world = await stack.enter_async_context(synthesis_world(emptied(url), patience_s=patience_s))
        jobs = []
        for number, (session, text) in enumerate(segments):
            jobs.append(f"job_{number}")
            await world.speak(jobs[-1], SessionRef("acme", f"sess_{session}"), text)
        for chunk_ms, fate, run in fates:
            tts = WatchedTts(chunk_ms=chunk_ms, run_s=QUICK_IDLE_S if fate == "deaf" else 0.0)
            speaker = Speaker(url, tts, dies_at_run=run if fate == "dies" else NEVER, is_deaf=fate == "deaf")
            stack.push_async_callback(speaker.close)
            while not (speaker.has_died or (fate == "deaf" and tts.runs) or world.are_over(jobs)):  # noqa: ASYNC110
                await asyncio.sleep(0.005)
        last = WatchedTts(chunk_ms=abs(last_ms), run_s=0.0 if last_ms > 0 else QUICK_IDLE_S / 2)
        stack.push_async_callback(Speaker(url, last).close)
        await world.until_over(jobs)
        for job_id in jobs:
            await world.assert_whole(job_id)
        await world.until_idle()


@examples(16)
@given(
    segments=SEGMENTS,
    fates=st.lists(FATE, max_size=2),
    last_ms=st.one_of(st.integers(20, 400), st.integers(-400, -200)),
)
@example(**A_WORKER_DIES)
@example(**A_WORKER_IS_DEAF)
def test_p3_no_gap_and_no_repeat_whatever_becomes_of_the_workers(
    redis_url: str, segments: list[tuple[int, str]], fates: list[Fate], last_ms: int
) -> None:
    asyncio.run(play(redis_url, segments, fates, last_ms))


# -- the property catches speech that is broken ---------------------------------------------------------------------


async def _from_the_start(self: TtsWork, task: Task) -> int:
    return 0


async def _by_chunks(self: TtsWork, task: Task) -> int:
    return len(await task.published()) * 24 * 70


def _without(line: str) -> Any:
    init = connection.Script.__init__

    def broken(self: connection.Script, name: str) -> None:
        init(self, name)
        if name == "publish":
            assert line in self.text
            self.text = self.text.replace(line, "")
            self._sha = hashlib.sha1(
                self.text.encode(), usedforsecurity=False
            ).hexdigest()  # or the server runs the whole one

    return broken


@pytest.mark.parametrize(
    ("script", "what", "name", "broken"),
    [
        (A_WORKER_DIES, TtsWork, "_already_published", _from_the_start),
        (A_WORKER_DIES, TtsWork, "_already_published", _by_chunks),
        (A_WORKER_IS_DEAF, connection.Script, "__init__", _without(" or fence[1] ~= ARGV[1]")),
    ],
    ids=["begins-anew", "counts-chunks", "no-fence"],
)
def test_broken_speech_is_caught(
    redis_url: str, monkeypatch: pytest.MonkeyPatch, script: Any, what: type, name: str, broken: Any
) -> None:
    monkeypatch.setattr(what, name, broken)
    with pytest.raises(AssertionError):
        for _ in range(5):  # whether the deaf one meets the other in the act is chance
            asyncio.run(play(redis_url, **script, patience_s=NO_PATIENCE_S))
