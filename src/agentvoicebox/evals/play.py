"""Plays a scenario as a live call: the scripted caller speaks with the scenario's pauses, interruptions, noise and audio format.

Decides how noise is mixed, and what is recorded: the session's log if the store can be read, so that the call can be replayed
exactly, otherwise what the caller heard. `client.caller` has the socket and `client.caller_voice` the voice.
"""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from agentvoicebox import __version__
from agentvoicebox.audio.pcm import Int16Array
from agentvoicebox.broker.connection import Connection
from agentvoicebox.client.call_record import CallRecord
from agentvoicebox.client.caller import LiveCall, Source, open_call
from agentvoicebox.client.caller_voice import speak_lines
from agentvoicebox.client.line import SpokenLine as SpokenLine
from agentvoicebox.client.line import line_from_wav, voiced_range
from agentvoicebox.evals.scenario import Scenario
from agentvoicebox.ids import DEFAULT_TENANT
from agentvoicebox.interactions.from_log import decode_log, interaction_of_log, iso_time
from agentvoicebox.interactions.interaction import Interaction, Line, Wait
from agentvoicebox.interactions.recorder import JudgeOf
from agentvoicebox.ports.broker import SessionRef
from agentvoicebox.realtime_client.dialing import CallOptions
from agentvoicebox.sessions.log import SessionLog

LogOf = Callable[[str], Awaitable[list[bytes] | None]]  # session id → its complete log, or None
FULL_SCALE = 32_767


def lines_of(scenario: Scenario, *, models_dir: str = "", cache_dir: Path) -> list[SpokenLine | None]:
    """The audio of each line of a scenario, with its noise; None for a typed line. Blocks during synthesis.

    Raises:
        ProviderUnavailable: no voice is installed. ClientError: a recording is missing.
    """
    texts = [line.say for line in scenario.lines if line.say]
    spoken = iter(speak_lines(texts, models_dir=models_dir, cache_dir=cache_dir) if texts else [])
    found: list[SpokenLine | None] = []
    for line in scenario.lines:
        if line.say:
            found.append(next(spoken))
        elif line.wav:
            found.append(line_from_wav(Path(scenario.folder) / line.wav, line.heard or ""))
        else:
            found.append(None)
    if scenario.noise_snr_db is None:
        return found
    random = np.random.default_rng(scenario.seed)
    level = noise_level(found, scenario.noise_snr_db)
    return [None if line is None else _noisy(line, level, random) for line in found]


def noise_level(lines: list[SpokenLine | None], snr_db: float) -> float:
    """RMS of noise (in int16 steps) that is `snr_db` below the speech of the lines."""
    voiced = [line.pcm[slice(*voiced_range(line.pcm))].astype(np.float64) for line in lines if line is not None]
    speech = np.concatenate(voiced) if voiced else np.zeros(1)
    return float(np.sqrt(np.mean(speech * speech))) * 10 ** (-snr_db / 20)


def _noisy(line: SpokenLine, level: float, random: np.random.Generator) -> SpokenLine:
    mixed = line.pcm + random.normal(0, level, len(line.pcm))
    return SpokenLine(line.text, np.clip(mixed, -FULL_SCALE, FULL_SCALE).astype(np.int16))


def noise_source(level: float, seed: int) -> Source:
    """Noise for the caller's audio between the lines."""
    random = np.random.default_rng(seed)

    def source(count: int) -> Int16Array:
        return np.clip(random.normal(0, level, count), -FULL_SCALE, FULL_SCALE).astype(np.int16)

    return source


async def play(
    scenario: Scenario,
    lines: list[SpokenLine | None],
    options: CallOptions,
    *,
    log_of: LogOf | None = None,
    judge_of: JudgeOf = lambda tool_names: None,
    on_record: Callable[[CallRecord], None] = lambda record: None,
) -> Interaction:
    """Play one live call and return its interaction.

    Args:
        scenario: the scenario to play.
        lines: from `lines_of`.
        options: server and agent; the audio format is the scenario's.
        log_of: reads the session's log while the call is still open; None: record only the caller's side.
        judge_of: tool names of an agent → its judge; None if there is no judge.
        on_record: called with the record of the call, which has its audio.

    Raises:
        CallFailed: the server can't be reached, or refused the call.
    """
    options = replace(options, audio=scenario.audio)
    source = None
    if scenario.noise_snr_db is not None:
        source = noise_source(noise_level(lines, scenario.noise_snr_db), scenario.seed)
    async with open_call(options, source=source) as call:
        await _converse(call, scenario, lines)
        record = call.record()
        entries = await log_of(record.session_id) if log_of else None
    on_record(record)
    if entries:
        return interaction_of_log(
            decode_log(entries),
            correlation_id=record.session_id,
            scenario=scenario.name,
            wants_masked=False,
            judge_of=judge_of,
        ).interaction
    return interaction_of_call(record, scenario.name)


async def _converse(call: LiveCall, scenario: Scenario, lines: list[SpokenLine | None]) -> None:
    last = None
    for line, sound in zip(scenario.lines, lines, strict=True):
        if line.interrupt_ms is None:
            if last is not None:
                await call.wait_for_reply(last)
            if line.only_if and (last is None or line.only_if.lower() not in last.replied.lower()):
                continue
            await call.stay_connected((scenario.pause_ms + line.pause_ms) / 1000)
        else:
            await call.wait_until_heard(line.interrupt_ms / 1000)
        last = await call.type(line.type) if sound is None else call.start_saying(sound)
    if last is not None:
        await call.wait_for_reply(last)


def interaction_of_call(record: CallRecord, scenario: str = "") -> Interaction:
    """The interaction from the caller's side: transcript and latencies, without tool calls and log."""
    transcript: list[Line] = []
    waits: list[Wait] = []
    for turn in record.turns:
        said = turn.heard or turn.said
        words, at_s = len(said.split()), round(turn.end_s, 3)
        transcript.append(Line(role="caller", text=said, words=words, at_s=at_s, is_typed=turn.is_typed))
        if turn.replied:
            at_s = round(turn.first_audio_s or turn.end_s, 3)
            words = len(turn.replied.split())
            transcript.append(Line(role="agent", text=turn.replied, words=words, at_s=at_s, is_cut=turn.is_cut))
        if turn.voice_to_voice_ms is not None:
            waits.append(Wait(total_ms=turn.voice_to_voice_ms, parts_ms=turn.parts_ms()))
    return Interaction(
        timestamp=iso_time(record.started_wall_s),
        began_s=record.started_wall_s,
        correlation_id=record.session_id,
        call_id=record.session_id,
        channel="realtime",
        agent=record.model,
        software=__version__,
        scenario=scenario,
        has_words=True,
        is_whole=False,
        transcript=tuple(transcript),
        waits=tuple(waits),
    )


class StoreLogs:
    """Reads the logs of sessions from a server's store."""

    def __init__(self, redis_url: str) -> None:
        self._connection = Connection(redis_url)
        self._logs = SessionLog(self._connection)

    async def __call__(self, session_id: str) -> list[bytes] | None:
        """The complete log of a session; None if a snapshot has replaced its beginning. Raises BrokerLost, NewerFormat."""
        snapshot, entries = await self._logs.load(SessionRef(DEFAULT_TENANT, session_id))
        return entries if snapshot is None else None

    async def close(self) -> None:
        """Close the connection."""
        await self._connection.close()
