"""A picture of a call: both voices, the events, and the parts of the latency of each reply.

Decides only the appearance. Colours are Okabe and Ito's, distinguishable with any colour vision; hatching and labels
repeat the information. Uses matplotlib's Agg backend, so no display is needed; matplotlib is imported when a picture is
drawn.
"""

import textwrap
from pathlib import Path
from typing import Any

import numpy as np

from agentvoicebox.audio.pcm import Int16Array
from agentvoicebox.client.call_record import LINE, PARTS, CallRecord, CallTurn
from agentvoicebox.errors import ProviderUnavailable

INK, FAINT, PAPER = "#222222", "#8a8a8a", "#ffffff"
CALLER, AGENT, WAIT = "#0072B2", "#D55E00", "#F0E442"
LOOKS = {  # part: (colour, hatch)
    LINE: ("#BBBBBB", "..."),
    "endpointing": ("#56B4E9", ""),
    "queue": ("#F0E442", "///"),
    "stt": ("#009E73", ""),
    "dialogue": ("#CC79A7", ""),
    "tool": ("#0072B2", "\\\\\\"),
    "tts": ("#E69F00", ""),
    "gateway": ("#555555", ""),
}
# two rows, because a turn's end and its reply are a few ms apart
TOP_Y, TURN_Y, REPLY_Y, LEGEND_Y = (3.15, -0.70, -0.95, -1.5)
MARKS = {  # event type: (marker, row, legend)
    "input_audio_buffer.speech_started": ("^", TURN_Y, "speech detected"),
    "input_audio_buffer.speech_stopped": ("v", TURN_Y, "turn over"),
    "conversation.item.truncate": ("X", TURN_Y, "caller interrupted"),
    "conversation.item.input_audio_transcription.completed": ("s", REPLY_Y, "words recognised"),
    "response.created": ("o", REPLY_Y, "reply begun"),
    "response.function_call_arguments.done": ("D", REPLY_Y, "tool called"),
    "response.done": ("|", REPLY_Y, "reply complete"),
    "error": ("P", REPLY_Y, "error"),
}
ENVELOPE_S = 0.02
LEAST_SHOWN_MS = 0.5
MIN_LABEL_SHARE = 0.045  # of the axis: a narrower piece has no room for its number
CALL_INCHES_PER_S, MIN_INCHES, MAX_INCHES = 0.55, 13.0, 26.0


def draw_timeline(record: CallRecord, *paths: Path, title: str = "") -> None:
    """Draw the call into each path; the suffix decides the format (`.png`, `.svg`, `.pdf`).

    Raises:
        ProviderUnavailable: matplotlib is not installed.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ProviderUnavailable("pictures need matplotlib: type `pip install 'agentvoicebox[pictures]'`") from error
    timed = [turn for turn in record.turns if turn.voice_to_voice_ms is not None and not turn.is_typed]
    call_height, bars_height = 5.0, 0.9 + 1.15 * max(1, len(timed))
    width = min(MAX_INCHES, max(MIN_INCHES, record.duration_s * CALL_INCHES_PER_S))
    figure = Figure(figsize=(width, call_height + bars_height), facecolor=PAPER, layout="constrained")
    FigureCanvasAgg(figure)
    above, below = figure.subplots(2, 1, height_ratios=[call_height, bars_height])
    figure.suptitle(title or _title(record), x=0.01, ha="left", fontsize=13, color=INK)
    _draw_call(above, record)
    _draw_bars(below, timed)
    for path in paths:
        figure.savefig(path, dpi=130)


def _title(record: CallRecord) -> str:
    return f"A call to {record.model}: {len(record.turns)} turns, {record.duration_s:.1f} s"


# -- the call --------------------------------------------------------------------------------------------------------


def _draw_call(axes: Any, record: CallRecord) -> None:
    end_s = max(record.duration_s, 1.0)
    axes.set_xlim(0, end_s)
    axes.set_ylim(LEGEND_Y, TOP_Y)
    _draw_lane(axes, record.caller_pcm, record.rate_hz, 2.0, CALLER)
    _draw_lane(axes, record.agent_pcm, record.rate_hz, 0.75, AGENT)
    for turn in record.turns:
        _draw_words(axes, turn, end_s)
        _draw_wait(axes, turn)
    _draw_events(axes, record)
    axes.set_yticks([2.0, 0.75, (TURN_Y + REPLY_Y) / 2], ["caller", "agent", "events"], fontsize=11)
    for label, colour in zip(axes.get_yticklabels(), (CALLER, AGENT, INK), strict=True):
        label.set_color(colour)
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel("seconds since the call began", color=INK)
    axes.xaxis.set_major_locator(_ticks(end_s))
    axes.grid(axis="x", color="#e6e6e6", linewidth=0.7)
    axes.set_axisbelow(True)
    _bare(axes)


def _ticks(end_s: float) -> Any:
    from matplotlib.ticker import MultipleLocator

    return MultipleLocator(next(step for step in (1, 2, 5, 10, 30, 60, 600) if end_s / step <= 30))


def _draw_lane(axes: Any, pcm: Int16Array, rate_hz: int, centre: float, colour: str) -> None:
    """The envelope of one side, mirrored about its lane's centre line; square root, so that quiet speech is visible."""
    window = round(ENVELOPE_S * rate_hz)
    count = len(pcm) // window
    peaks = np.abs(pcm[: count * window].reshape(count, window).astype(np.float64)).max(axis=1, initial=0) / 32_768
    height = 0.48 * np.sqrt(peaks)
    height[peaks < 0.003] = 0.0  # line noise
    seconds = (np.arange(count) + 0.5) * ENVELOPE_S
    axes.axhline(centre, color=colour, linewidth=0.6, alpha=0.5)
    axes.fill_between(seconds, centre - height, centre + height, color=colour, linewidth=0)


def _draw_words(axes: Any, turn: CallTurn, end_s: float) -> None:
    words = f"(typed) {turn.said}" if turn.is_typed else turn.said
    _write(axes, turn.start_s, turn.end_s, 2.62, words, CALLER, end_s, "bottom")
    axes.plot([turn.start_s, turn.end_s], [2.53, 2.53], color=CALLER, linewidth=2.5, solid_capstyle="butt")
    if turn.first_audio_s is not None and turn.reply_end_s is not None:
        words = turn.replied + (" [cut]" if turn.is_cut else "")
        axes.plot(
            [turn.first_audio_s, turn.reply_end_s], [0.22, 0.22], color=AGENT, linewidth=2.5, solid_capstyle="butt"
        )
        _write(axes, turn.first_audio_s, turn.reply_end_s, 0.14, words, AGENT, end_s, "top")


def _write(
    axes: Any, start_s: float, stop_s: float, y: float, words: str, colour: str, end_s: float, side: str
) -> None:
    """Words beside the time they were spoken, wrapped to about its width and to three lines."""
    inches = axes.figure.get_figwidth() * 0.93
    columns = max(14, int((stop_s - start_s) / end_s * inches * 13.5))
    lines = textwrap.wrap(words, columns)
    if len(lines) > 3:
        lines = [*lines[:2], textwrap.shorten(" ".join(lines[2:]), columns, placeholder=" …")]
    axes.text(
        start_s, y, "\n".join(lines), fontsize=8, color=colour, va=side, ha="left", linespacing=1.15, clip_on=True
    )


def _draw_wait(axes: Any, turn: CallTurn) -> None:
    """The latency as the caller notices it."""
    if turn.first_audio_s is None or turn.is_typed:
        return
    axes.axvspan(
        turn.end_s, turn.first_audio_s, ymin=_share(0.22), ymax=_share(2.53), color=WAIT, alpha=0.55, linewidth=0
    )
    middle = (turn.end_s + turn.first_audio_s) / 2
    label = f"{turn.voice_to_voice_ms:.0f} ms"
    axes.text(middle, 1.38, label, fontsize=8, color=INK, ha="center", va="center", fontweight="bold")


def _share(y: float) -> float:
    """A height of the upper picture as a share of its axis."""
    return (y - LEGEND_Y) / (TOP_Y - LEGEND_Y)


def _draw_events(axes: Any, record: CallRecord) -> None:
    for y in (TURN_Y, REPLY_Y):
        axes.axhline(y, color="#dddddd", linewidth=0.8)
    for kind, (marker, y, legend) in MARKS.items():
        times = [event.at_s for event in record.events if event.type == kind]
        if times:
            colour = "#B00020" if kind == "error" else INK
            axes.plot(
                times, [y] * len(times), linestyle="", marker=marker, markersize=7, color=colour, label=legend,
                markerfacecolor=PAPER if marker in "osD" else colour, markeredgewidth=1.3,
            )  # fmt: skip
    handles, labels = axes.get_legend_handles_labels()
    if handles:
        axes.legend(handles, labels, loc="lower left", ncols=len(labels), fontsize=8, frameon=False, handletextpad=0.2)


# -- where the time went ---------------------------------------------------------------------------------------------


def _draw_bars(axes: Any, turns: list[CallTurn]) -> None:
    waits = [turn.voice_to_voice_ms or 0.0 for turn in turns]
    left = min([0.0, *(work.start_ms for turn in turns for work in _hidden(turn))])
    right = max([100.0, *waits]) * 1.12
    axes.set_xlim(min(0.0, left), right)
    axes.set_ylim(len(turns) - 0.35, -0.75)
    axes.set_yticks(range(len(turns)), [f"turn {turn.index}" for turn in turns], fontsize=10)
    axes.tick_params(axis="y", length=0)
    for row, turn in enumerate(turns):
        _draw_bar(axes, row, turn, right - min(0.0, left))
    axes.set_xlabel("ms since the caller's last voiced sample, up to the first audio of the reply", color=INK)
    axes.grid(axis="x", color="#e6e6e6", linewidth=0.7)
    axes.set_axisbelow(True)
    _legend(axes, turns)
    _bare(axes)
    if not turns:
        axes.text(0.5, 0.5, "no spoken turn has a reply", transform=axes.transAxes, ha="center", color=FAINT)


def _hidden(turn: CallTurn) -> tuple[Any, ...]:
    works = turn.account.hidden if turn.account else ()
    return tuple(work for work in works if work.name != "queue")


def _draw_bar(axes: Any, row: int, turn: CallTurn, span_ms: float) -> None:
    whole = turn.voice_to_voice_ms or 0.0
    parts = turn.parts_ms()
    if not parts:
        axes.barh(row, whole, height=0.36, color=LOOKS[LINE][0], edgecolor=PAPER)
        axes.text(whole, row, f"  {whole:.0f} ms  (this server gives no account of it)", va="center", fontsize=9)
        return
    begin = 0.0
    for name in (*PARTS, LINE):
        width = max(0.0, parts[name])
        colour, hatch = LOOKS[name]
        axes.barh(row, width, left=begin, height=0.36, color=colour, hatch=hatch, edgecolor=PAPER, linewidth=0.6)
        if width / span_ms >= MIN_LABEL_SHARE:
            ink = PAPER if name in ("gateway", "tool", "stt") else INK
            axes.text(begin + width / 2, row, f"{width:.0f}", ha="center", va="center", fontsize=9, color=ink)
        begin += width
    axes.text(whole, row, f"  {whole:.0f} ms", va="center", fontsize=10, fontweight="bold", color=INK)
    text = "  +  ".join(f"{name} {parts[name]:.1f}" for name in (*PARTS, LINE) if abs(parts[name]) >= 0.05)
    axes.text(0, row - 0.24, text, va="bottom", fontsize=8, color=FAINT)
    shift = turn.endpointing_shift_ms
    hidden = _hidden(turn)
    for place, name in enumerate(dict.fromkeys(work.name for work in hidden)):
        y = row + 0.24 + 0.095 * place
        spans = [(work.start_ms + shift, work.end_ms - work.start_ms) for work in hidden if work.name == name]
        for start, width in spans:
            axes.barh(y, width, left=start, height=0.07, color=LOOKS.get(name, LOOKS[LINE])[0], alpha=0.8)
        end = max(start + width for start, width in spans)
        label = f" {name} {sum(width for _, width in spans):.0f}"
        axes.text(end, y, label, va="center", fontsize=7, color=FAINT)


def _legend(axes: Any, turns: list[CallTurn]) -> None:
    from matplotlib.patches import Patch

    worked = {work.name for turn in turns for work in _hidden(turn)}
    worked |= {name for turn in turns for name, ms in turn.parts_ms().items() if abs(ms) >= LEAST_SHOWN_MS}
    present = [name for name in (*PARTS, LINE) if name in worked]
    patches = [Patch(facecolor=LOOKS[name][0], hatch=LOOKS[name][1], edgecolor=PAPER, label=name) for name in present]
    if patches:
        axes.legend(
            handles=patches, loc="lower left", bbox_to_anchor=(0, 1.0), ncols=len(patches), fontsize=8, frameon=False,
            title="thin bars beneath: concurrent work, which added no latency", title_fontsize=8,
            alignment="left",
        )  # fmt: skip


def _bare(axes: Any) -> None:
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.tick_params(colors=INK)
