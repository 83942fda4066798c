"""Kills with -9 under live spoken calls, and the reckoning: who came back, what was lost or doubled, and how long anybody waited.

Callers speak the same script again and again; a killer ends a process at random moments and lets the cluster heal before the
next. What an answer should be is known from calls that nobody disturbed: equal words are the same samples.
"""

import asyncio
import random
import statistics
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import asyncpg
import numpy as np

from agentvoicebox.audio.pcm import OUTPUT_RATE_HZ, Int16Array
from agentvoicebox.errors import AgentVoiceBoxError
from agentvoicebox.evals.caller import LiveCall, open_call
from agentvoicebox.evals.dialing import CallOptions
from agentvoicebox.evals.line import Line
from tests.kit.cluster import Cluster, Server
from tests.kit.rolling import trail
from tests.kit.waiting import FACTOR, PATIENCE_S, until
from tests.kit.witness import Witness

# A gateway holds the calls, so it dies most often.
DECK = ("gateway",) * 5 + ("stt",) * 2 + ("tts",) * 2 + ("llm", "tool", "recorder", "valkey", "postgres")
BREATH_S = (0.2, 1.2)  # of a caller, between two lines
ANSWER_S = 30.0 * FACTOR
LATE_S = 30.0  # a line that broke may stand again so long after the next kill
LULL_S = (0.0, 6.0)  # of the killer, once everything is whole again; about a turn, so that it strikes anywhere in one


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
    """One call. `lost` says why it did not go on, or ""; `breaks` are (when the line stood again, pause in s)."""

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
    """One kill. `healed_s`: when what died was there again."""

    victim: str
    at_s: float
    healed_s: float = 0.0


@dataclass
class Havoc:
    """A whole run. `usual` are the answers of undisturbed calls, `recorded` the items that PostgreSQL has in the end."""

    kills: list[Kill]
    calls: list[Spoken]
    usual: list[Answer]
    recorded: int


async def one_call(url: str, script: Sequence[Line], told: Spoken, chance: random.Random) -> None:
    """Speak the script once, and fill `told`."""
    loop = asyncio.get_running_loop()
    witness = Witness()
    try:
        async with open_call(CallOptions(url, reply_timeout_s=ANSWER_S, wants_trace=False), witness) as call:
            for index, line in enumerate(script):
                await _ask(call, line, told, index)
                told.missed = call.line.missed
                if told.answers[-1].problem:
                    told.lost = f"line {index}: {told.answers[-1].problem}; {trail(call)}"
                    break
                await call.stay(chance.uniform(*BREATH_S))
                _note_breaks(call, told)
            else:
                told.items_lost = await witness.ask_for_all(call)
                _note_breaks(call, told)
    except AgentVoiceBoxError as error:
        told.lost = error.message
    told.ended_s = loop.time()
    told.doubled, told.unfinished, told.items = witness.doubled, len(witness.open_responses), witness.items


async def _ask(call: LiveCall, line: Line, told: Spoken, index: int) -> None:
    loop = asyncio.get_running_loop()
    answer = Answer(told.number, index, loop.time())
    told.answers.append(answer)
    clips, gap = len(call.playout.clips), call.playout.gap_samples
    turn = await call.say(line)
    answer.ended_s, answer.replied, answer.problem = loop.time(), turn.replied, turn.problem
    answer.wait_ms = turn.voice_to_voice_ms or 0.0
    answer.gap_ms = (call.playout.gap_samples - gap) * 1000 / OUTPUT_RATE_HZ
    answer.pcm = np.concatenate([answer.pcm, *(clip.pcm for clip in call.playout.clips[clips:])])
    _note_breaks(call, told)


def _note_breaks(call: LiveCall, told: Spoken) -> None:
    """Those since the last look; a line also breaks while nobody speaks."""
    now_s = asyncio.get_running_loop().time()
    told.breaks += [(now_s, pause_s) for pause_s in call.line.pauses_s[len(told.breaks) :]]


async def wreak(
    cluster: Cluster,
    script: Sequence[Line],
    *,
    kills: int,
    callers: int,
    seed: int,
    deck: Sequence[str] = DECK,
    undisturbed: int = 2,
) -> Havoc:
    """So many kills under so many callers at a time, after some calls that tell what is usual."""
    chance = random.Random(seed)
    usual = [Spoken(-1 - number, 0.0) for number in range(undisturbed)]
    for each in usual:
        await one_call(cluster.url, script, each, random.Random(seed))
        assert not each.lost, f"an undisturbed call failed: {each.lost}"
    calls: list[Spoken] = []
    stop = asyncio.Event()

    async def keep_calling(number: int) -> None:
        mine = random.Random(f"{seed} {number}")
        await asyncio.sleep(mine.uniform(0, 3))  # people do not dial in step
        while not stop.is_set():
            told = Spoken(len(calls), asyncio.get_running_loop().time())
            calls.append(told)
            await one_call(cluster.url, script, told, mine)

    talking = [asyncio.create_task(keep_calling(number)) for number in range(callers)]
    done: list[Kill] = []
    try:
        pile: list[str] = []
        while len(done) < kills:
            if not pile:
                pile = chance.sample(deck, len(deck))
            await asyncio.sleep(chance.uniform(*LULL_S))
            done.append(await _kill(cluster, pile.pop(), chance))
            await _until_answered(calls, done[-1].at_s)  # so that each answer suffers from one kill
        stop.set()
        await asyncio.gather(*talking)
    finally:
        for task in talking:
            task.cancel()
        with suppress(asyncio.CancelledError):
            await asyncio.gather(*talking, return_exceptions=True)
    ids = sorted({item for each in calls for item in each.items})
    recorded = await _recorded(cluster.postgres, ids)
    return Havoc(done, calls, [answer for each in usual for answer in each.answers], recorded)


async def _until_answered(calls: list[Spoken], at_s: float) -> None:
    """Wait until every turn that was under way at that time is over."""

    def open_turns() -> list[int]:
        return [
            call.number
            for call in calls
            for each in call.answers
            if each.began_s <= at_s and not (each.ended_s or call.ended_s)
        ]

    await until(open_turns, "turns without an end", patience_s=2 * ANSWER_S)


async def _kill(cluster: Cluster, victim: str, chance: random.Random) -> Kill:
    """Kill one process of a kind, and wait until there is another in its place."""
    loop = asyncio.get_running_loop()
    kill = Kill(victim, loop.time())
    if victim in ("valkey", "postgres"):
        server = cluster.valkey if victim == "valkey" else cluster.postgres
        outages = len(server.outages_s)
        server.kill()
        await until(lambda: len(server.outages_s) == outages, f"{victim} is not back")
    else:
        # A gateway without calls can lose none: one that holds some is chosen, as soon as there is one.
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
class Reckoning:
    """What one kill did to those who were speaking.

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


def reckon(havoc: Havoc) -> list[Reckoning]:
    """Each kill with what followed; an answer counts with every kill that fell into its turn."""
    usual = [*havoc.usual, *_undisturbed(havoc)]
    waits = _usual_waits(usual)
    samples: dict[str, Int16Array] = {}
    for answer in usual:
        samples.setdefault(answer.replied, answer.pcm)
    told = []
    for number, kill in enumerate(havoc.kills):
        until_s = havoc.kills[number + 1].at_s if number + 1 < len(havoc.kills) else float("inf")
        row = Reckoning(kill)
        for call in havoc.calls:
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


def jitter_ms(havoc: Havoc) -> list[float]:
    """The extra silence of answers that nobody disturbed: what the machine itself adds to the figures of a kill."""
    usual = [*havoc.usual, *_undisturbed(havoc)]
    waits = _usual_waits(usual)
    return [max(0.0, each.wait_ms - waits[each.line]) + each.gap_ms for each in usual]


def _usual_waits(answers: Sequence[Answer]) -> dict[int, float]:
    lines = {each.line for each in answers}
    return {line: statistics.median(each.wait_ms for each in answers if each.line == line) for line in lines}


def _undisturbed(havoc: Havoc) -> list[Answer]:
    """Answers of the run into whose turn no kill fell: they tell the samples of words that the first calls did not hear."""
    return [
        answer
        for call in havoc.calls
        for answer in call.answers
        if not answer.problem and not any(answer.began_s <= kill.at_s <= answer.ended_s for kill in havoc.kills)
    ]


def _compare(answer: Answer, samples: dict[str, Int16Array], row: Reckoning) -> None:
    usual = samples.get(answer.replied)
    if usual is None:
        return
    difference_ms = (len(answer.pcm) - len(usual)) * 1000 / OUTPUT_RATE_HZ
    row.missing_ms = max(row.missing_ms, -difference_ms)
    row.repeated_ms = max(row.repeated_ms, difference_ms)
    if not difference_ms:
        row.other_samples = max(row.other_samples, int((answer.pcm != usual).sum()))
