"""A picture of a call in SVG: both voices, the events, and the parts of the latency of each reply.

Decides only the appearance. Colours are Okabe and Ito's, distinguishable with any colour vision; hatching and labels
repeat the information.
"""

import textwrap
from collections.abc import Callable
from pathlib import Path

import numpy as np

from agentvoicebox.audio.pcm import Int16Array
from agentvoicebox.client.call_record import LINE, PARTS, CallRecord, CallTurn, HiddenWork
from agentvoicebox.client.svg import CHARACTER_WIDTH, Drawing, text_width, ticks

INK, FAINT, GRID, PAPER = "#222222", "#767676", "#e6e6e6", "#ffffff"
CALLER, AGENT, WAIT, ALARM = "#0072B2", "#D55E00", "#F0E442", "#B00020"
LOOKS = {  # part: (colour, hatch)
    LINE: ("#BBBBBB", "..."),
    "endpointing": ("#56B4E9", ""),
    "socket": ("#999999", "///"),
    "ingest": ("#777777", ""),
    "queue": ("#F0E442", "///"),
    "stt": ("#009E73", ""),
    "dialogue": ("#CC79A7", ""),
    "tool": ("#0072B2", "\\\\\\"),
    "tts": ("#E69F00", ""),
    "gateway": ("#555555", ""),
}
DARK = ("gateway", "ingest", "tool", "stt")  # parts whose numbers are written in white

PIXELS_PER_S, MIN_WIDTH, MAX_WIDTH = 53.0, 1240.0, 2500.0
LEFT, RIGHT = 84.0, 28.0
# heights of the upper half, from above
TITLE_Y, CALLER_WORDS_Y, CALLER_BAR_Y, CALLER_Y, AGENT_Y, AGENT_BAR_Y, AGENT_WORDS_Y = (26, 84, 90, 130, 206, 246, 262)
# two rows of events, because a turn's end and its reply are a few ms apart
TURN_Y, REPLY_Y, AXIS_Y, LEGEND_Y, CALL_HEIGHT = (322, 344, 364, 424, 448)
LANE = 35.0  # half the height of a voice
LINE_HEIGHT, MOST_LINES = 13.0, 3
# heights within the lower half
PARTS_LEGEND_Y, FIRST_ROW_Y, ROW_HEIGHT, BAR_HEIGHT, HIDDEN_HEIGHT, BELOW_ROWS = (20, 62, 92, 30, 6, 44)

ENVELOPE_S = 0.02
LEAST_SHOWN_MS = 0.5
MIN_LABEL_WIDTH = 26.0  # a narrower piece has no room for its number
MARKS = {  # event type: (strokes, whether it is filled, row, legend)
    "input_audio_buffer.speech_started": ("M0-5L5 4H-5Z", True, TURN_Y, "speech detected"),
    "input_audio_buffer.speech_stopped": ("M0 5L5-4H-5Z", True, TURN_Y, "turn over"),
    "conversation.item.truncate": ("M-4-4L4 4M-4 4L4-4", False, TURN_Y, "caller interrupted"),
    "conversation.item.input_audio_transcription.completed": ("M-4-4H4V4H-4Z", False, REPLY_Y, "words recognised"),
    "response.created": ("M-4 0a4 4 0 1 0 8 0a4 4 0 1 0-8 0", False, REPLY_Y, "reply begun"),
    "response.function_call_arguments.done": ("M0-5L5 0L0 5L-5 0Z", False, REPLY_Y, "tool called"),
    "response.done": ("M0-6V6", False, REPLY_Y, "reply complete"),
    "error": ("M-5 0H5M0-5V5", False, REPLY_Y, "error"),
}

Scale = Callable[[float], float]


def draw_timeline(record: CallRecord, path: Path, title: str = "") -> None:
    """Draw the call into an SVG file."""
    path.write_text(timeline_svg(record, title), encoding="utf-8")


def timeline_svg(record: CallRecord, title: str = "") -> str:
    """The picture as an `<svg>` element."""
    timed = [turn for turn in record.turns if turn.voice_to_voice_ms is not None and not turn.is_typed]
    width = min(MAX_WIDTH, max(MIN_WIDTH, record.duration_s * PIXELS_PER_S))
    rows = max(1, len(timed))
    height = CALL_HEIGHT + FIRST_ROW_Y + rows * ROW_HEIGHT + BELOW_ROWS
    turns = "1 turn" if len(record.turns) == 1 else f"{len(record.turns)} turns"
    title = title or f"A call to {record.model}: {turns}, {record.duration_s:.1f} s"
    drawing = Drawing(width, height, title=title, background=PAPER)
    drawing.text((12, TITLE_Y), title, colour=INK, size=17)
    _draw_call(drawing, record)
    _draw_bars(drawing, timed)
    return drawing.svg()


# -- the call --------------------------------------------------------------------------------------------------------


def _draw_call(drawing: Drawing, record: CallRecord) -> None:
    end_s = max(record.duration_s, 1.0)
    x_of = _scale(drawing, 0.0, end_s)
    for second in ticks(0.0, end_s, 30):
        _draw_tick(drawing, x_of(second), f"{second:g}", (CALLER_BAR_Y, AXIS_Y))
    for turn in record.turns:
        _draw_wait(drawing, turn, x_of)
    _draw_lane(drawing, record.caller_pcm, record.rate_hz, CALLER_Y, CALLER, x_of)
    _draw_lane(drawing, record.agent_pcm, record.rate_hz, AGENT_Y, AGENT, x_of)
    for turn in record.turns:
        _draw_words(drawing, turn, x_of)
        _draw_wait_label(drawing, turn, x_of)
    for name, y, colour in (("caller", CALLER_Y, CALLER), ("agent", AGENT_Y, AGENT), ("events", TURN_Y + 11, INK)):
        drawing.text((LEFT - 12, y + 5), name, colour=colour, size=14, anchor="end")
    drawing.text(
        ((LEFT + drawing.width - RIGHT) / 2, AXIS_Y + 34), "seconds since the call began", colour=INK, anchor="middle"
    )
    _draw_events(drawing, record, x_of)


def _draw_lane(drawing: Drawing, pcm: Int16Array, rate_hz: int, y: float, colour: str, x_of: Scale) -> None:
    """The envelope of one side, mirrored about its lane's centre line; square root, so that quiet speech is visible."""
    window = round(ENVELOPE_S * rate_hz)
    count = len(pcm) // window
    peaks = np.abs(pcm[: count * window].reshape(count, window).astype(np.float64)).max(axis=1, initial=0) / 32_768
    heights = LANE * np.sqrt(peaks)
    heights[peaks < 0.003] = 0.0  # line noise
    drawing.line((LEFT, y), (drawing.width - RIGHT, y), colour, opacity=0.5)
    edge = [(x_of((place + 0.5) * ENVELOPE_S), float(high)) for place, high in enumerate(heights)]
    # Silence is drawn by the centre line alone, which makes the file much smaller.
    start = 0
    for place, (_, high) in enumerate([*edge, (0.0, 0.0)]):
        if high > 0.0:
            continue
        if place > start:
            loud = edge[max(0, start - 1) : place + 1]
            drawing.polygon([(x, y - each) for x, each in loud] + [(x, y + each) for x, each in reversed(loud)], colour)
        start = place + 1


def _draw_words(drawing: Drawing, turn: CallTurn, x_of: Scale) -> None:
    words = f"(typed) {turn.said}" if turn.is_typed else turn.said
    lines = _wrapped(words, x_of(turn.end_s) - x_of(turn.start_s))
    for number, line in enumerate(reversed(lines)):
        drawing.text((x_of(turn.start_s), CALLER_WORDS_Y - number * LINE_HEIGHT), line, colour=CALLER, size=11)
    drawing.line((x_of(turn.start_s), CALLER_BAR_Y), (x_of(turn.end_s), CALLER_BAR_Y), CALLER, width=2.5)
    if turn.first_audio_s is None or turn.reply_end_s is None:
        return
    start, end = x_of(turn.first_audio_s), x_of(turn.reply_end_s)
    drawing.line((start, AGENT_BAR_Y), (end, AGENT_BAR_Y), AGENT, width=2.5)
    for number, line in enumerate(_wrapped(turn.replied + (" [cut]" if turn.is_cut else ""), end - start)):
        drawing.text((start, AGENT_WORDS_Y + number * LINE_HEIGHT), line, colour=AGENT, size=11)


def _wrapped(words: str, width: float) -> list[str]:
    """Words in lines of about this width, three at most."""
    columns = max(14, int(width / (11 * CHARACTER_WIDTH)))
    lines = textwrap.wrap(words, columns)
    if len(lines) > MOST_LINES:
        rest = textwrap.shorten(" ".join(lines[MOST_LINES - 1 :]), columns, placeholder=" …")
        lines = [*lines[: MOST_LINES - 1], rest]
    return lines


def _draw_wait(drawing: Drawing, turn: CallTurn, x_of: Scale) -> None:
    """The latency as the caller notices it."""
    if turn.first_audio_s is None or turn.is_typed:
        return
    start, end = sorted((x_of(turn.end_s), x_of(turn.first_audio_s)))
    drawing.rect(start, CALLER_BAR_Y, end - start, AGENT_BAR_Y - CALLER_BAR_Y, WAIT, opacity=0.55)


def _draw_wait_label(drawing: Drawing, turn: CallTurn, x_of: Scale) -> None:
    if turn.first_audio_s is None or turn.is_typed:
        return
    middle = (x_of(turn.end_s) + x_of(turn.first_audio_s)) / 2
    label = f"{turn.voice_to_voice_ms:.0f} ms"
    between = (CALLER_Y + AGENT_Y) / 2 + 4
    drawing.text((middle, between), label, colour=INK, size=11, anchor="middle", is_bold=True)


def _draw_events(drawing: Drawing, record: CallRecord, x_of: Scale) -> None:
    for y in (TURN_Y, REPLY_Y):
        drawing.line((LEFT, y), (drawing.width - RIGHT, y), GRID)
    legend_x = LEFT
    for kind, (strokes, is_filled, y, legend) in MARKS.items():
        events = [event for event in record.events if event.type == kind]
        if not events:
            continue
        colour = ALARM if kind == "error" else INK
        fill = colour if is_filled else PAPER
        for event in events:
            drawing.mark((x_of(event.at_s), y), strokes, colour, fill=fill, tip=f"{kind} at {event.at_s:.3f} s")
        drawing.mark((legend_x + 5, LEGEND_Y - 4), strokes, colour, fill=fill)
        drawing.text((legend_x + 15, LEGEND_Y), legend, colour=INK, size=11)
        legend_x += 15 + text_width(legend, 11) + 26


# -- where the time went ---------------------------------------------------------------------------------------------


def _draw_bars(drawing: Drawing, turns: list[CallTurn]) -> None:
    if not turns:
        middle = ((LEFT + drawing.width - RIGHT) / 2, CALL_HEIGHT + FIRST_ROW_Y)
        drawing.text(middle, "no spoken turn has a reply", colour=FAINT, anchor="middle")
        return
    waits = [turn.voice_to_voice_ms or 0.0 for turn in turns]
    start_ms = min([0.0, *(work.start_ms for turn in turns for work in _hidden(turn))])
    end_ms = max([100.0, *waits]) * 1.12
    x_of = _scale(drawing, start_ms, end_ms)
    top = CALL_HEIGHT + FIRST_ROW_Y - 22
    bottom = CALL_HEIGHT + FIRST_ROW_Y + len(turns) * ROW_HEIGHT - 18
    for ms in ticks(start_ms, end_ms, 14):
        _draw_tick(drawing, x_of(ms), f"{ms:g}", (top, bottom))
    for row, turn in enumerate(turns):
        _draw_row(drawing, CALL_HEIGHT + FIRST_ROW_Y + row * ROW_HEIGHT, turn, x_of)
    words = "ms since the caller's last voiced sample, up to the first audio of the reply"
    drawing.text(((LEFT + drawing.width - RIGHT) / 2, bottom + 36), words, colour=INK, anchor="middle")
    _draw_parts_legend(drawing, turns)


def _hidden(turn: CallTurn) -> tuple[HiddenWork, ...]:
    works = turn.account.hidden if turn.account else ()
    return tuple(work for work in works if work.name != "queue")


def _draw_row(drawing: Drawing, y: float, turn: CallTurn, x_of: Scale) -> None:
    """The parts of one wait from left to right, and what worked meanwhile beneath them."""
    whole = turn.voice_to_voice_ms or 0.0
    middle = y + BAR_HEIGHT / 2 + 4
    drawing.text((LEFT - 12, middle), f"turn {turn.index}", colour=INK, size=13, anchor="end")
    parts = turn.parts_ms()
    if not parts:
        drawing.rect(x_of(0), y, x_of(whole) - x_of(0), BAR_HEIGHT, LOOKS[LINE][0])
        words = f"{whole:.0f} ms  (this server gives no account of it)"
        drawing.text((x_of(whole) + 8, middle), words, colour=INK)
        return
    begin_ms = 0.0
    for name in (*PARTS, LINE):
        ms = max(0.0, parts.get(name, 0.0))  # an older server knows fewer parts
        left, width = x_of(begin_ms), x_of(begin_ms + ms) - x_of(begin_ms)
        colour, hatch = LOOKS[name]
        if width:
            drawing.rect(left, y, width, BAR_HEIGHT, colour, hatch=hatch, tip=f"{name}: {ms:.1f} ms")
        if width >= MIN_LABEL_WIDTH:
            ink = PAPER if name in DARK else INK
            drawing.text((left + width / 2, middle), f"{ms:.0f}", colour=ink, anchor="middle")
        begin_ms += ms
    drawing.text((x_of(max(whole, begin_ms)) + 8, middle), f"{whole:.0f} ms", colour=INK, size=13, is_bold=True)
    sum_of = "  +  ".join(f"{name} {parts[name]:.1f}" for name in (*PARTS, LINE) if abs(parts.get(name, 0.0)) >= 0.05)
    drawing.text((x_of(0), y - 6), sum_of, colour=FAINT, size=11)
    _draw_hidden(drawing, y + BAR_HEIGHT + 4, turn, x_of)


def _draw_hidden(drawing: Drawing, y: float, turn: CallTurn, x_of: Scale) -> None:
    hidden = _hidden(turn)
    for place, name in enumerate(dict.fromkeys(work.name for work in hidden)):
        top = y + place * (HIDDEN_HEIGHT + 3)
        works = [work for work in hidden if work.name == name]
        for work in works:
            left, right = (x_of(ms + turn.endpointing_shift_ms) for ms in (work.start_ms, work.end_ms))
            drawing.rect(left, top, right - left, HIDDEN_HEIGHT, LOOKS.get(name, LOOKS[LINE])[0], opacity=0.8)
        end = max(work.end_ms for work in works) + turn.endpointing_shift_ms
        label = f"{name} {sum(work.end_ms - work.start_ms for work in works):.0f}"
        drawing.text((x_of(end) + 5, top + HIDDEN_HEIGHT + 1), label, colour=FAINT, size=9)


def _draw_parts_legend(drawing: Drawing, turns: list[CallTurn]) -> None:
    worked = {work.name for turn in turns for work in _hidden(turn)}
    worked |= {name for turn in turns for name, ms in turn.parts_ms().items() if abs(ms) >= LEAST_SHOWN_MS}
    x, y = LEFT, CALL_HEIGHT + PARTS_LEGEND_Y
    for name in (*PARTS, LINE):
        if name in worked:
            colour, hatch = LOOKS[name]
            drawing.rect(x, y - 10, 24, 12, colour, hatch=hatch)
            drawing.text((x + 30, y), name, colour=INK)
            x += 30 + text_width(name, 12) + 22
    if worked:
        words = "thin bars: concurrent work, which added no latency"
        drawing.text((x + 6, y), words, colour=FAINT, size=11)


# -- axes ------------------------------------------------------------------------------------------------------------


def _scale(drawing: Drawing, start: float, end: float) -> Scale:
    """Value → x within the margins."""
    pixels = (drawing.width - LEFT - RIGHT) / (end - start)
    return lambda value: LEFT + (value - start) * pixels


def _draw_tick(drawing: Drawing, x: float, label: str, span: tuple[float, float]) -> None:
    top, bottom = span
    drawing.line((x, top), (x, bottom), GRID)
    drawing.text((x, bottom + 16), label, colour=FAINT, size=11, anchor="middle")
