"""Kills processes with -9 under live spoken calls, and summarizes: reconnected calls, lost or duplicate output, added latency.

Callers speak the same script again and again; a killer ends a process at random moments and lets the cluster heal before the
next. What an answer should be is known from undisturbed calls: equal words are the same samples.
"""

import asyncio
import random
import statistics
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import asyncpg
import numpy as np

from agentvoicebox.audio.pcm import Int16Array
from agentvoicebox.audio.rates import OUTPUT_RATE_HZ
from agentvoicebox.client.caller import LiveCall, open_call
from agentvoicebox.client.line import SpokenLine
from agentvoicebox.errors import AgentVoiceBoxError
from agentvoicebox.realtime_client.dialing import CallOptions
from tests.kit.call_checks import CallChecks
from tests.kit.cluster import Cluster, Server
from tests.kit.rolling_restart import trail
from tests.kit.waiting import FACTOR, PATIENCE_S, until

# A gateway holds the calls, so it is killed most often.
ONCE = ("llm", "tool", "recorder", "janitor", "webhook")
DECK = ("gateway",) * 5 + ("stt",) * 2 + ("tts",) * 2 + ONCE + ("valkey", "postgres")
BREATH_S = (0.2, 1.2)  # pause of a caller between two lines
PAUSE_S = (0.0, 6.0)  # pause between recovery and the next kill; about a turn, so that kills fall anywhere in one
RECORDED_S = 60.0 * FACTOR  # time for the recorder to catch up at the end
ANSWER_S = 30.0 * FACTOR
LATE_S = 30.0  # a broken line may recover this long after the next kill


@dataclass
class Answer:
    """One turn of one call, on the event loop's clock.

    Attributes:
        line: which line of the script.
        wait_ms: from the caller's last voiced sample to the first audio.
        gap_ms: silence inside the answer, where audio came too late.
    """

    call: int
    line: int
    began_s: float
    ended_s: float = 0.0
    replied: str = ""
    pcm: Int16Array = field(default_factory=lambda: np.zeros(0, np.int16))
    wait_ms: float = 0.0
    gap_ms: float = 0.0
    problem: str = ""


@dataclass
class Spoken:
    """One call. `lost` says why it ended early, or ""; `breaks` are (time of the reconnect, pause in s)."""

    number: int
    began_s: float
    ended_s: float = 0.0
    answers: list[Answer] = field(default_factory=list)
    breaks: list[tuple[float, float]] = field(default_factory=list)
    lost: str = ""
    missed: int = 0
    doubled: int = 0
    unfinished: int = 0
    items: list[str] = field(default_factory=list)
    items_lost: int = 0


@dataclass
class Kill:
    """One kill. `healed_s`: when the killed process was replaced."""

    victim: str
    at_s: float
    healed_s: float = 0.0


@dataclass
class KillRun:
    """The state of a run.

    Attributes:
        usual: answers of undisturbed calls.
        recorded: the items that PostgreSQL has in the end; None until then.
    """

    kills: list[Kill] = field(default_factory=list)
    calls: list[Spoken] = field(default_factory=list)
    usual: list[Answer] = field(default_factory=list)
    recorded: int | None = None


async def one_call(url: str, script: Sequence[SpokenLine], call_report: Spoken, chance: random.Random) -> None:
    """Speak the script once, and fill `told`."""
    loop = asyncio.get_running_loop()
    witness = CallChecks()
    try:
        async with open_call(CallOptions(url, reply_timeout_s=ANSWER_S, wants_trace=False), witness) as call:
            for index, line in enumerate(script):
                await _ask(call, line, call_report, index)
                call_report.missed = call.connection.gaps
                if call_report.answers[-1].problem:
                    call_report.lost = f"line {index}: {call_report.answers[-1].problem}; {trail(call)}"
                    break
                await call.stay_connected(chance.uniform(*BREATH_S))
                _collect_breaks(call, call_report)
            else:
                call_report.items_lost = await witness.ask_for_all(call)
                _collect_breaks(call, call_report)
    except AgentVoiceBoxError as error:
        call_report.lost = error.message
    call_report.ended_s = loop.time()
    call_report.doubled, call_report.unfinished, call_report.items = (
        witness.doubled,
        len(witness.open_responses),
        witness.items,
    )


async def _ask(call: LiveCall, line: SpokenLine, call_report: Spoken, index: int) -> None:
    loop = asyncio.get_running_loop()
    answer = Answer(call_report.number, index, loop.time())
    call_report.answers.append(answer)
    clips, gap = len(call.playout.clips), call.playout.gap_samples
    turn = await call.say(line)
    answer.ended_s, answer.replied, answer.problem = loop.time(), turn.replied, turn.problem
    answer.wait_ms = turn.voice_to_voice_ms or 0.0
    answer.gap_ms = (call.playout.gap_samples - gap) * 1000 / OUTPUT_RATE_HZ
    answer.pcm = np.concatenate([answer.pcm, *(clip.pcm for clip in call.playout.clips[clips:])])
    _collect_breaks(call, call_report)


def _collect_breaks(call: LiveCall, call_report: Spoken) -> None:
    """Collect the breaks since the last check; a connection also breaks during silence."""
    now_s = asyncio.get_running_loop().time()
    call_report.breaks += [(now_s, pause_s) for pause_s in call.connection.pauses_s[len(call_report.breaks) :]]


async def run_kills(
    cluster: Cluster,
    script: Sequence[SpokenLine],
    *,
    kills: int,
    callers: int,
    seed: int,
    deck: Sequence[str] = DECK,
    undisturbed: int = 2,
    on_kill: Callable[[KillRun], None] = lambda run: None,
) -> KillRun:
    """Kill processes under a number of concurrent callers, after some undisturbed calls as a baseline.

    `on_kill` is called with the run before the first kill and after each.
    """
    run, chance = KillRun(), random.Random(seed)
    usual = [Spoken(-1 - number, 0.0) for number in range(undisturbed)]
    for each in usual:
        await one_call(cluster.url, script, each, random.Random(seed))
        assert not each.lost, f"an undisturbed call failed: {each.lost}"
        run.usual += each.answers
    on_kill(run)
    stop = asyncio.Event()

    async def keep_calling(number: int) -> None:
        mine = random.Random(f"{seed} {number}")
        await asyncio.sleep(mine.uniform(0, 3))  # people do not dial at the same moment
        while not stop.is_set():
            told = Spoken(len(run.calls), asyncio.get_running_loop().time())
            run.calls.append(told)
            await one_call(cluster.url, script, told, mine)

    talking = [asyncio.create_task(keep_calling(number)) for number in range(callers)]
    try:
        pile: list[str] = []
        while len(run.kills) < kills:
            if not pile:
                pile = chance.sample(deck, len(deck))
            await asyncio.sleep(chance.uniform(*PAUSE_S))
            run.kills.append(await _kill(cluster, pile.pop(), chance))
            await _until_answered(run.calls, run.kills[-1].at_s)  # so that each answer is affected by one kill
            on_kill(run)
        stop.set()
        await asyncio.gather(*talking)
    finally:
        for task in talking:
            task.cancel()
        with suppress(asyncio.CancelledError):
            await asyncio.gather(*talking, return_exceptions=True)
    ids = sorted({item for each in run.calls for item in each.items})
    run.recorded = await _recorded(cluster.postgres, ids)
    return run


async def _until_answered(calls: list[Spoken], at_s: float) -> None:
    """Wait until every turn that was open at that time is over."""

    def open_turns() -> list[int]:
        return [
            call.number
            for call in calls
            for each in call.answers
            if each.began_s <= at_s and not (each.ended_s or call.ended_s)
        ]

    await until(open_turns, "turns without an end", patience_s=2 * ANSWER_S)


async def _kill(cluster: Cluster, victim: str, chance: random.Random) -> Kill:
    """Kill one process of a kind, and wait for its replacement."""
    loop = asyncio.get_running_loop()
    kill = Kill(victim, loop.time())
    if victim in ("valkey", "postgres"):
        server = cluster.valkey if victim == "valkey" else cluster.postgres
        outages = len(server.outages_s)
        server.kill()
        await until(lambda: len(server.outages_s) == outages, f"{victim} is not back")
    else:
        # A gateway without calls can't lose any: choose one with calls, as soon as there is one.
        nodes = cluster.of(victim)
        while victim == "gateway" and not (nodes := await cluster.busy_gateways()):  # noqa: ASYNC110
            await asyncio.sleep(0.1)
        node = chance.choice(nodes)
        await node.is_back(victim)
        kill.at_s = loop.time()
        await node.kill(victim)
        await node.is_back(victim)
    kill.healed_s = loop.time()
    return kill


async def _recorded(postgres: Server, ids: list[str]) -> int:
    """How many of these items PostgreSQL has, once the recorder has caught up."""
    connection = await asyncpg.connect(postgres.server.owner_url.replace("/postgres?", "/agentvoicebox?"))  # type: ignore[union-attr]
    try:
        until_s = asyncio.get_running_loop().time() + PATIENCE_S
        while True:
            query = "SELECT count(DISTINCT item_id) FROM conversation_items WHERE item_id = ANY($1)"
            found = int(await connection.fetchval(query, ids))
            if found == len(ids) or asyncio.get_running_loop().time() > until_s:
                return found
            await asyncio.sleep(0.5)
    finally:
        await connection.close()


@dataclass
class KillSummary:
    """The effects of one kill on calls that were active.

    Attributes:
        calls: alive at the time.
        resumed: of those, how many went on to their end.
        back_ms: the longest that a line was down; 0 when none was.
        heard_ms: the longest extra silence that anyone heard: beyond the usual wait, and inside an answer.
        missing_ms, repeated_ms: by which an answer was shorter or longer than usual for the same words.
    """

    kill: Kill
    calls: int = 0
    resumed: int = 0
    back_ms: float = 0.0
    heard_ms: float = 0.0
    missing_ms: float = 0.0
    repeated_ms: float = 0.0
    other_samples: int = 0


def summaries(run: KillRun) -> list[KillSummary]:
    """Each kill with its effects; an answer counts for every kill during its turn."""
    usual = [*run.usual, *_undisturbed(run)]
    waits = _usual_waits(usual)
    samples: dict[str, Int16Array] = {}
    for answer in usual:
        samples.setdefault(answer.replied, answer.pcm)
    told = []
    for number, kill in enumerate(run.kills):
        until_s = run.kills[number + 1].at_s if number + 1 < len(run.kills) else float("inf")
        row = KillSummary(kill)
        for call in run.calls:
            if not call.began_s <= kill.at_s <= call.ended_s:
                continue
            row.calls += 1
            is_lost_now = bool(call.lost) and (not call.answers or kill.at_s >= call.answers[-1].began_s)
            row.resumed += not is_lost_now
            for at_s, pause_s in call.breaks:
                if kill.at_s <= at_s < until_s + LATE_S and kill.victim == "gateway":
                    row.back_ms = max(row.back_ms, pause_s * 1000)
            for answer in call.answers:
                if answer.began_s <= kill.at_s <= answer.ended_s and not answer.problem:
                    late_ms = max(0.0, answer.wait_ms - waits[answer.line])
                    row.heard_ms = max(row.heard_ms, late_ms + answer.gap_ms)
                    _compare(answer, samples, row)
        told.append(row)
    return told


def jitter_ms(run: KillRun) -> list[float]:
    """The added latency of undisturbed answers: the machine's own contribution."""
    usual = [*run.usual, *_undisturbed(run)]
    waits = _usual_waits(usual)
    return [max(0.0, each.wait_ms - waits[each.line]) + each.gap_ms for each in usual]


def _usual_waits(answers: Sequence[Answer]) -> dict[int, float]:
    lines = {each.line for each in answers}
    return {line: statistics.median(each.wait_ms for each in answers if each.line == line) for line in lines}


def _undisturbed(run: KillRun) -> list[Answer]:
    """Complete answers of the run without a kill in their turn: they provide the samples of words that the first calls lack."""
    return [
        answer
        for call in run.calls
        for answer in call.answers
        if answer.ended_s
        and not answer.problem
        and not any(answer.began_s <= kill.at_s <= answer.ended_s for kill in run.kills)
    ]


def _compare(answer: Answer, samples: dict[str, Int16Array], row: KillSummary) -> None:
    usual = samples.get(answer.replied)
    if usual is None:
        return
    difference_ms = (len(answer.pcm) - len(usual)) * 1000 / OUTPUT_RATE_HZ
    row.missing_ms = max(row.missing_ms, -difference_ms)
    row.repeated_ms = max(row.repeated_ms, difference_ms)
    if not difference_ms:
        row.other_samples = max(row.other_samples, int((answer.pcm != usual).sum()))
