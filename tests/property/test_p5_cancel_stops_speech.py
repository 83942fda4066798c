"""P5: of a cancelled segment nothing more is published, its engine is stopped in mid-run, and nobody else is disturbed.

How soon (50 ms are wanted) is measured by `benchmarks/properties.py` in the same world.
"""

import asyncio
from contextlib import AsyncExitStack
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tests.kit.property_search import NO_PATIENCE_S, emptied, examples
from tests.kit.synthesis_world import Speaker, WatchedTts, synthesis_world
from tests.kit.waiting import PATIENCE_S

from agentvoicebox.broker import connection
from agentvoicebox.broker.redis_streams import RedisBroker
from agentvoicebox.ports.broker import JobKind, SessionRef
from agentvoicebox.providers.tts.stopping import StoppableSpeech
from agentvoicebox.workers.runner import Task
from agentvoicebox.workers.tts import TtsWork

pytestmark = pytest.mark.requirement("A7")

MOST = 5
Segment = tuple[int, str, int]  # session; when it is cancelled, if at all; the run of the engine that it meets
SEGMENTS = st.lists(
    st.tuples(
        st.integers(0, 1), st.sampled_from(["never", "in a run", "in a run", "unclaimed", "late"]), st.integers(0, 3)
    ),
    min_size=1,
    max_size=MOST,
)
ONE_OF_EACH: list[Segment] = [
    (0, "in a run", 2),
    (0, "never", 0),
    (1, "unclaimed", 0),
    (0, "in a run", 0),
    (1, "late", 0),
]


async def play(url: str, segments: list[Segment], chunk_ms: int, patience_s: float = PATIENCE_S) -> None:
    async with AsyncExitStack() as stack:
        world = await stack.enter_async_context(synthesis_world(emptied(url), patience_s=patience_s))
        tts = WatchedTts(chunk_ms=chunk_ms, longest_run_s=patience_s * 2)
        texts, kept = {}, {}
        for number, (session, when, run) in enumerate(segments):
            job_id, text = f"job_{number}", f"segment {number} of {session}"
            texts[job_id] = text
            if when == "in a run":
                tts.hang(text, run)
            await world.speak(job_id, SessionRef("acme", f"sess_{session}"), text, cancelled=when == "unclaimed")
        # heartbeats, which would find a cancelled fence too, are out of the way: the announcement alone must do
        speaker = Speaker(url, tts, threads=MOST, keep_every_s=PATIENCE_S, idle_s=PATIENCE_S)
        stack.push_async_callback(speaker.close)
        for job_id, (_, when, _) in zip(texts, segments, strict=True):
            if when == "in a run":
                assert await asyncio.to_thread(tts.hanging[texts[job_id]].wait, PATIENCE_S)
            elif when == "late":
                await world.until_over([job_id])
            if when in ("in a run", "late"):
                kept[job_id] = await world.cancel(job_id)
        whole = [job_id for job_id, (_, when, _) in zip(texts, segments, strict=True) if when in ("never", "late")]
        await world.until_over(whole)
        await world.until_idle()
        for job_id, (_, when, run) in zip(texts, segments, strict=True):
            if job_id in whole:
                await world.assert_whole(job_id)
                continue
            left = await world.kept(job_id)
            assert left == kept.get(job_id, []), "something was published after the cancel"
            assert len(left) == (run if when == "in a run" else 0)
            assert when == "unclaimed" or texts[job_id] in tts.interrupted_s, "the engine was not stopped"
        await world.speak("job_next", SessionRef("acme", "sess_0"), "the next")
        await world.until_over(["job_next"])
        await world.assert_whole("job_next")


@examples(25)
@given(segments=SEGMENTS, chunk_ms=st.integers(100, 300))
@example(segments=ONE_OF_EACH, chunk_ms=200)
def test_p5_after_a_cancel_nothing_is_published_and_the_engine_stands(
    redis_url: str, segments: list[Segment], chunk_ms: int
) -> None:
    asyncio.run(play(redis_url, segments, chunk_ms))


# -- the property catches cancels that are broken --------------------------------------------------------------------


async def _unheard(self: RedisBroker, kind: JobKind) -> Any:
    await asyncio.Event().wait()
    yield ""


async def _to_its_end(self: TtsWork, task: Task) -> None:
    request: Any = task.request
    await self._speak(task, self._tts.synthesize(request.text, voice=""))


def _unmarked(self: connection.Script, name: str, init: Any = connection.Script.__init__) -> None:
    init(self, name)
    if name == "cancel":
        line = "redis.call('HSET', KEYS[1], 'cancelled', '1')"
        assert line in self.text
        self.text = self.text.replace(line, "")


@pytest.mark.parametrize(
    ("what", "name", "broken"),
    [
        (RedisBroker, "cancellations", _unheard),
        (StoppableSpeech, "close", lambda self: None),
        (TtsWork, "__call__", _to_its_end),
        (connection.Script, "__init__", _unmarked),
    ],
    ids=["unheard", "engine-runs-on", "spoken-to-its-end", "only-announced"],
)
def test_a_broken_cancel_is_caught(
    redis_url: str, monkeypatch: pytest.MonkeyPatch, what: type, name: str, broken: Any
) -> None:
    monkeypatch.setattr(what, name, broken)
    with pytest.raises(AssertionError):
        asyncio.run(play(redis_url, ONE_OF_EACH, 200, NO_PATIENCE_S))
