"""Reports of a call: the conversation, the event log, the latency table, and a summary.

Decides wording and file formats. Facts are in `call_record`, the picture in `timeline`.
"""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from agentvoicebox.client.call_record import LINE, PARTS, CallRecord, CallTurn
from agentvoicebox.client.wav_files import write_wav

SUMS_WITHIN_MS = 5.0  # tolerance of the sum of parts
NAME_WIDTH = 7
LEAST_SHOWN_MS = 0.05  # what rounds to 0.1
CALLER_STYLE, AGENT_STYLE = "bold blue", "bold dark_orange"


def conversation_text(record: CallRecord) -> str:
    """The conversation, one line per speaker, with recognition errors and latencies."""
    lines: list[str] = []
    for turn in record.turns:
        lines.append(f"{_clock(turn.start_s)}  caller  {turn.said}{' (typed)' if turn.is_typed else ''}")
        if _plain(turn.heard) != _plain(turn.said) and not turn.is_typed:
            lines.append(f"               recognised as: {turn.heard or '(nothing)'}")
        lines += [f"               tool: {call}" for call in turn.tool_calls]
        if turn.first_audio_s is not None:
            cut = " [the caller interrupted]" if turn.is_cut else ""
            waited = "" if turn.voice_to_voice_ms is None else f"   ({turn.voice_to_voice_ms:.0f} ms)"
            lines.append(f"{_clock(turn.first_audio_s)}  agent   {turn.replied}{cut}{waited}")
        elif turn.replied:
            lines.append(f"          agent   {turn.replied}")
        if turn.problem:
            lines.append(f"          !       {turn.problem}")
    lines += [f"          !       the server reported: {problem}" for problem in record.problems]
    return "\n".join(lines) + "\n"


def _clock(at_s: float) -> str:
    minutes, seconds = divmod(max(0.0, at_s), 60)
    return f"{int(minutes):02d}:{seconds:05.2f}"


def _plain(words: str) -> str:
    return "".join(character for character in words.lower() if character.isalnum())


def parts_table(turns: Sequence[CallTurn]) -> Table:
    """The parts of each reply's latency, in ms: one column per turn. Parts that are zero in all turns are left out."""
    answered = [turn for turn in turns if turn.voice_to_voice_ms is not None]
    title = "Where the time went: ms from the caller's last sample to the first audio"
    table = Table("", title=title, title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    for turn in answered:
        table.add_column(f"turn {turn.index}", justify="right", no_wrap=True)
    accounts = [turn.parts_ms() for turn in answered]
    for name in (*PARTS, LINE):
        if any(abs(parts.get(name, 0.0)) >= LEAST_SHOWN_MS for parts in accounts):
            table.add_row(name, *(f"{parts[name]:.1f}" if parts else "" for parts in accounts))
    table.add_row("total", *(f"{turn.voice_to_voice_ms:.1f}" for turn in answered), style="bold")
    for name in PARTS:
        if any(name in hidden_ms(turn) for turn in answered):
            done = (f"{hidden_ms(turn).get(name, 0.0):.1f}" for turn in answered)
            table.add_row(f"{name}, concurrent", *done, style="dim")
    return table


def hidden_ms(turn: CallTurn) -> dict[str, float]:
    """Work done before the end of the turn was decided, in ms by part; waiting in queues is not work."""
    sums: dict[str, float] = {}
    for work in turn.account.hidden if turn.account else ():
        if work.name != "queue":
            sums[work.name] = sums.get(work.name, 0.0) + work.end_ms - work.start_ms
    return sums


def sums_that_fail(record: CallRecord, within_ms: float = SUMS_WITHIN_MS) -> list[str]:
    """Turns whose parts don't sum to the total: the server's own sum is wrong, or it claims more than the caller waited.

    With `line`, the network and the caller's own delay, the parts sum to the caller's wait by definition; so a `line`
    far below zero is an error of the account, one above it a busy machine or a network.
    """
    found = []
    for turn in record.turns:
        if turn.account is None:
            continue
        if abs(turn.account.gap_ms) > within_ms:
            found.append(f"turn {turn.index}: the server's parts miss its whole by {turn.account.gap_ms:.1f} ms")
        line_ms = turn.parts_ms().get(LINE, 0.0)
        if turn.endpointing_shift_ms and line_ms < -within_ms:
            found.append(f"turn {turn.index}: the server accounts for {-line_ms:.1f} ms more than the caller waited")
    return found


def summary(record: CallRecord) -> dict[str, Any]:
    """The call as one JSON-able object."""
    return {
        "url": record.url,
        "model": record.model,
        "session_id": record.session_id,
        "duration_s": round(record.duration_s, 3),
        "rate_hz": record.rate_hz,
        "gap_ms": round(record.gap_ms, 1),
        "problems": record.problems,
        "sums_that_fail": sums_that_fail(record),
        "turns": [_turn_summary(turn) for turn in record.turns],
    }


def _turn_summary(turn: CallTurn) -> dict[str, Any]:
    facts = asdict(turn)
    facts.pop("account")
    facts["voice_to_voice_ms"] = turn.voice_to_voice_ms
    facts["after_decision_ms"] = turn.account.after_decision_ms if turn.account else None
    facts["hidden_ms"] = {name: round(ms, 3) for name, ms in hidden_ms(turn).items()}
    facts["parts_ms"] = {name: round(ms, 3) for name, ms in turn.parts_ms().items()}
    return {name: round(value, 6) if isinstance(value, float) else value for name, value in facts.items()}


def write_events(record: CallRecord, path: Path) -> None:
    """The event log: one JSON object a line, in order of time."""
    with path.open("wb") as file:
        for event in record.events:
            line = {**asdict(event), "at_s": round(event.at_s, 6), "wall_s": round(event.wall_s, 6)}
            file.write(msgspec.json.encode(line) + b"\n")


def write_recording(record: CallRecord, path: Path) -> None:
    """Both sides as a stereo WAV: the caller left, the agent right."""
    write_wav(path, np.stack([record.caller_pcm, record.agent_pcm], axis=1), record.rate_hz)


def spoken(who: str, words: str, note: str = "") -> Table:
    """One line of a conversation for a terminal; long ones are indented."""
    line = Table.grid(padding=(0, 2, 0, 0))
    line.add_column(width=NAME_WIDTH, justify="right")
    line.add_column()
    line.add_row(
        Text(who, CALLER_STYLE if who == "caller" else AGENT_STYLE), Text.assemble(words, (f"  {note}", "dim"))
    )
    return line
