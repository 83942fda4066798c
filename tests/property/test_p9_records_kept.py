"""P9: of what calls hand over nothing is lost, doubled or out of place, however PostgreSQL and the recorders come and go.

An outage here is many missed tries, at a scale at which they take milliseconds; a whole minute of it, and how soon an item can be
queried (1 s is wanted), are `benchmarks/properties.py`'s, in the same world.
"""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tests.kit.property_search import NO_PATIENCE_S, emptied, examples
from tests.kit.recording import recording
from tests.kit.waiting import PATIENCE_S

from agentvoicebox.broker import keys
from agentvoicebox.errors import StorageLost
from agentvoicebox.storage.conversations import Conversations
from agentvoicebox.storage.records import TimedBatch
from agentvoicebox.supervisor.embedded.data_folder import DataFolder
from agentvoicebox.workers import recorder
from agentvoicebox.workers.recorder import RecorderWork
from agentvoicebox.workers.runner import Task

pytestmark = pytest.mark.requirement("A10")

Step = tuple[str, int]
VERBS = ("batch", "batch", "batch", "batch", "away", "back", "recorder dies", "recorder starts", "miss")
STEPS = st.lists(st.tuples(st.sampled_from(VERBS), st.integers(0, 30)), max_size=18)
A_HARD_MINUTE: list[Step] = [
    ("batch", 0), ("batch", 4), ("away", 1), ("batch", 3), ("batch", 6), ("miss", 9), ("recorder dies", 1),
    ("recorder starts", 0), ("miss", 9), ("batch", 9), ("recorder dies", 1), ("recorder starts", 0), ("miss", 9),
    ("recorder dies", 0), ("recorder starts", 0), ("miss", 9), ("recorder dies", 1), ("batch", 12), ("back", 0),
]  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DataFolder]:
    made = DataFolder(tmp_path_factory.mktemp("p9"))
    yield made
    made.close()


async def play(url: str, folder: DataFolder, steps: list[Step], patience_s: float = PATIENCE_S) -> None:
    """The steps in order; then all is up again, and everything must be there."""
    async with recording(emptied(url), folder, patience_s=patience_s) as world:
        for verb, number in steps:
            await world.step(verb, number)
        await world.end()


@examples(5)
@given(steps=STEPS)
@example(steps=A_HARD_MINUTE)
def test_p9_nothing_that_was_handed_over_is_lost(redis_url: str, folder: DataFolder, steps: list[Step]) -> None:
    asyncio.run(play(redis_url, folder, steps))


# -- the property catches recorders that are broken ------------------------------------------------------------------


async def _done_when_taken(self: RecorderWork, task: Task, work: Any = RecorderWork.__call__) -> None:
    waiting = asyncio.ensure_future(work(self, task))
    waiting.add_done_callback(lambda done: done.cancelled() or done.exception())


async def _lost_is_written(self: Conversations, batches: list[TimedBatch], write: Any = Conversations.write) -> Any:
    try:
        return await write(self, batches)
    except StorageLost:
        return {}


@pytest.mark.parametrize(
    ("what", "name", "broken", "wrong"),
    [
        (RecorderWork, "__call__", _done_when_taken, "holds"),
        (Conversations, "write", _lost_is_written, "holds"),
        (
            recorder,
            "_PendingBatch",
            lambda timed, written, attempt, new=recorder._PendingBatch: new(timed, written, 1),
            "given up",
        ),
    ],
    ids=["done-when-taken", "lost-is-written", "waiting-counts-as-failing"],
)
def test_a_broken_recorder_is_caught(
    redis_url: str, folder: DataFolder, monkeypatch: pytest.MonkeyPatch, what: Any, name: str, broken: Any, wrong: str
) -> None:
    monkeypatch.setattr(what, name, broken)
    monkeypatch.setattr(keys, "MAX_RECORD_ATTEMPTS", 2)  # else it takes dozens of deaths until one too many shows
    with pytest.raises(AssertionError, match=wrong):
        asyncio.run(play(redis_url, folder, A_HARD_MINUTE, NO_PATIENCE_S))
