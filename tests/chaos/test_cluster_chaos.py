"""A whole cluster of real processes under calls: processes killed with -9, then every gateway restarted in turn.

A small run with engines that answer at once; `make chaos` and `benchmarks/rolling_restart.py` are the long ones, with figures.
"""

import asyncio
from pathlib import Path

import pytest
from tests.kit.cluster import COMPACT, END_S, SCRIPTED, cluster
from tests.kit.kill_run import run_kills, summaries
from tests.kit.rolling_restart import rolling_restart
from tests.kit.speech import CACHE
from tests.kit.waiting import FACTOR

from agentvoicebox.client.caller_voice import speak_lines
from agentvoicebox.supervisor.roles import GATEWAY_DRAIN_S

pytestmark = pytest.mark.requirement("C4", "A17")

POD_GRACE_S = GATEWAY_DRAIN_S + 10  # what the Helm chart gives a gateway after SIGTERM

# Each kind of process once, and two gateways of the three. With all its roles in one process, `worker` is killed as `llm`.
DECK = ("gateway", "gateway", "stt", "tts", "llm", "webhook", "valkey", "postgres")


async def test_calls_go_on_through_kills_and_a_rolling_restart(tmp_path: Path) -> None:
    (line,) = await asyncio.to_thread(speak_lines, ["Where is my parcel?"], cache_dir=CACHE)
    async with cluster(tmp_path, gateways=3, workers=COMPACT, settings=SCRIPTED) as made:
        havoc = await run_kills(made, [line], kills=len(DECK), callers=2, seed=4, deck=DECK, undisturbed=1)
        rows = summaries(havoc)
        assert [(row.kill.victim, row.resumed) for row in rows] == [(row.kill.victim, row.calls) for row in rows]
        assert not [call.lost for call in havoc.calls if call.lost]
        assert sum(len(call.breaks) for call in havoc.calls) > 0  # the gateways did hold calls
        totals = [(call.doubled, call.missed, call.unfinished, call.items_lost) for call in havoc.calls]
        assert set(totals) == {(0, 0, 0, 0)}
        assert havoc.recorded == len({item for call in havoc.calls for item in call.items})

        told = await rolling_restart(made, [line, None], stock=2)
        assert [each.lost for each in told.ours if each.lost] == []
        assert {(each.doubled, each.items_lost) for each in told.ours} == {(0, 0)}
        assert sum(len(each.pauses_s) for each in told.ours) >= len(told.ours)  # each was handed over at least once
        assert all(set(each.closes) <= {1001} and not each.cuts and not each.refusals for each in told.stock)
        assert any(each.closes for each in told.stock)
        assert max(told.drains_s) < END_S  # each ended by itself
        assert max(told.drains_s) < POD_GRACE_S * FACTOR  # and before an orchestrator would have killed it
