"""P1: what one gateway writes of a session, every other one reads and hears of; two that want one session never both get it.

How soon (100 ms are wanted) is measured by `benchmarks/properties.py` in the same world.
"""

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tests.kit.property_search import NO_PATIENCE_S, emptied, examples
from tests.kit.seen_sessions import SESSIONS, VERBS, Step, seen_sessions
from tests.kit.waiting import PATIENCE_S

from agentvoicebox.ports.broker import SessionRef
from agentvoicebox.sessions.directory import SessionDirectory

pytestmark = pytest.mark.requirement("A1.3")

GATEWAYS = 3
STEPS = st.lists(
    st.tuples(
        st.sampled_from(VERBS),
        st.integers(0, GATEWAYS - 1),
        st.integers(0, len(SESSIONS) - 1),
        st.text(alphabet="aé\0{/", max_size=3),
    ),
    max_size=16,
)
A_LONG_DAY: list[Step] = [
    ("write", 0, 0, "a"), ("write", 1, 1, "b"), ("write", 0, 0, "c"), ("race", 0, 0, ""), ("late write", 0, 0, "d"),
    ("beat", 0, 0, ""), ("write", 0, 0, "e"), ("close", 0, 1, ""), ("race", 0, 0, ""), ("close", 0, 0, ""),
]  # fmt: skip


async def play(url: str, steps: list[Step], patience_s: float) -> None:
    async with seen_sessions(emptied(url), GATEWAYS, patience_s=patience_s) as world:
        for step in steps:
            await world.step(step)


@examples(40)
@given(steps=STEPS)
@example(steps=A_LONG_DAY)
def test_p1_what_one_gateway_writes_every_other_reads_and_hears(redis_url: str, steps: list[Step]) -> None:
    asyncio.run(play(redis_url, steps, PATIENCE_S))


# -- the property catches a directory that is broken ----------------------------------------------------------------


def _without_notices_of_changes(original: Any) -> Any:
    async def write(self: SessionDirectory, sessions: list[SessionRef], notice: str | None) -> None:
        await original(self, sessions, None if notice == "changed" else notice)

    return write


def _at_the_next_heartbeat(original: Any) -> Any:
    async def change(self: SessionDirectory, session: SessionRef, fields: Mapping[str, str]) -> None:
        self._own[session] = self._own.get(session, {}) | dict(fields)

    return change


def _as_first_read(original: Any) -> Any:
    async def find(self: SessionDirectory, session: SessionRef) -> dict[str, str] | None:
        known: dict[SessionRef, dict[str, str] | None] = self.__dict__.setdefault("known", {})
        if known.get(session) is None:
            known[session] = await original(self, session)
        return known[session]

    return find


def _whoever_asks(original: Any) -> Any:
    async def take_over(self: SessionDirectory, session: SessionRef, seen: Mapping[str, str], *, owner: str) -> bool:
        await original(self, session, seen, owner=owner)
        return True

    return take_over


@pytest.mark.parametrize(
    ("name", "broken", "wrong"),
    [
        ("_write", _without_notices_of_changes, "heard"),
        ("change", _at_the_next_heartbeat, "reads"),
        ("find", _as_first_read, "reads"),
        ("take_over", _whoever_asks, "took one session over"),
    ],
    ids=["no-notice-of-changes", "written-later", "read-from-memory", "taken-by-all"],
)
def test_a_broken_directory_is_caught(
    redis_url: str, monkeypatch: pytest.MonkeyPatch, name: str, broken: Any, wrong: str
) -> None:
    monkeypatch.setattr(SessionDirectory, name, broken(getattr(SessionDirectory, name)))
    with pytest.raises(AssertionError, match=wrong):
        asyncio.run(play(redis_url, A_LONG_DAY, NO_PATIENCE_S))
