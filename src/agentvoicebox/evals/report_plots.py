"""Draws the plots of a report in SVG.

Colours are variables of the page's style (`report_style`), so that a plot is readable in a light and in a dark page; those of the
parts are the timeline's. Numbers stand in columns beside a plot, never on what is drawn.
"""

from collections.abc import Callable, Mapping, Sequence

from agentvoicebox.client.svg import Drawing, ticks
from agentvoicebox.client.timeline import LOOKS

INK, FAINT, GRID, NOW, BEFORE = (f"var(--{name})" for name in ("ink", "faint", "grid", "now", "before"))
NONE = "none"
WIDTH, LEFT, RIGHT, TOP = 960.0, 210.0, 250.0, 36.0
CURVE_LEFT, CURVE_RIGHT, CURVE_HEIGHT = 96.0, 24.0, 200.0
ROW_HEIGHT, BAR_HEIGHT, AXIS_HEIGHT = 34.0, 16.0, 48.0
COLUMNS = (90.0, 160.0, 240.0)  # right edges of the numbers, from the plot's right edge
DOT = "M-4 0a4 4 0 1 0 8 0a4 4 0 1 0-8 0"
MOST_TICKS = 8

Scale = Callable[[float], float]


def bars(title: str, rows: Sequence[Sequence[str]], values: Sequence[float], unit: str, head: Sequence[str]) -> str:
    """Horizontal bars; name at the left, the row's numbers in columns at the right."""
    drawing = Drawing(WIDTH, TOP + ROW_HEIGHT * len(rows) + AXIS_HEIGHT, title=title, background=NONE)
    x_of = _axis(drawing, ROW_HEIGHT * len(rows), max(values), unit, is_whole=True)
    _name_columns(drawing, head)
    for number, (row, value) in enumerate(zip(rows, values, strict=True)):
        middle = TOP + (number + 0.5) * ROW_HEIGHT
        _name_row(drawing, middle, row)
        drawing.rect(LEFT, middle - BAR_HEIGHT / 2, x_of(value) - LEFT, BAR_HEIGHT, NOW)
    return drawing.svg()


def spreads(
    title: str,
    drawn: Sequence[tuple[str, float, float, float | None]],
    rows: Sequence[Sequence[str]],
    head: Sequence[str],
) -> str:
    """p50 as a bar, p95 as the end of a line; the numbers are in columns, where nothing is drawn."""
    drawing = Drawing(WIDTH, TOP + ROW_HEIGHT * len(rows) + AXIS_HEIGHT, title=title, background=NONE)
    highest = max(value for _, middle, high, old in drawn for value in (middle, high, old or 0.0))
    x_of = _axis(drawing, ROW_HEIGHT * len(rows), highest, "ms")
    _name_columns(drawing, head)
    for number, (row, (part, middle_ms, high_ms, old_ms)) in enumerate(zip(rows, drawn, strict=True)):
        middle = TOP + (number + 0.5) * ROW_HEIGHT
        _name_row(drawing, middle, row)
        drawing.rect(LEFT, middle - BAR_HEIGHT / 2, x_of(middle_ms) - LEFT, BAR_HEIGHT, LOOKS.get(part, (NOW, ""))[0])
        drawing.line((x_of(middle_ms), middle), (x_of(high_ms), middle), INK, width=1.4)
        drawing.mark((x_of(high_ms), middle), "M0-5V5", INK)
        if old_ms is not None:
            drawing.rect(LEFT, middle + BAR_HEIGHT / 2 + 1, x_of(old_ms) - LEFT, 4, BEFORE)
    return drawing.svg()


def curve(title: str, waits: Sequence[float], old: Mapping[int, float]) -> str:
    """The share of answers that had begun, by waiting time; `waits` in ms, ascending; `old`: ms of the baseline by percentile."""
    end_ms = max([1.0, waits[-1], *old.values()]) * 1.05
    drawing = Drawing(WIDTH, TOP + CURVE_HEIGHT + AXIS_HEIGHT, title=title, background=NONE)
    pixels = (WIDTH - CURVE_LEFT - CURVE_RIGHT) / end_ms
    bottom, right = TOP + CURVE_HEIGHT, WIDTH - CURVE_RIGHT

    def place(ms: float, percent: float) -> tuple[float, float]:
        return CURVE_LEFT + ms * pixels, bottom - CURVE_HEIGHT * percent / 100

    for ms in ticks(0.0, end_ms, 12):
        drawing.line(place(ms, 0), place(ms, 100), GRID)
        drawing.text((place(ms, 0)[0], bottom + 18), f"{ms:g}", colour=FAINT, size=12, anchor="middle")
    for percent in (0, 25, 50, 75, 100):
        drawing.line(place(0, percent), (right, place(0, percent)[1]), GRID)
        drawing.text((CURVE_LEFT - 10, place(0, percent)[1] + 4), f"{percent} %", colour=FAINT, size=12, anchor="end")
    drawing.text((24, TOP + CURVE_HEIGHT / 2), "answered by then", colour=FAINT, anchor="middle", is_upright=True)
    drawing.text(((CURVE_LEFT + right) / 2, bottom + 38), "ms", colour=FAINT, anchor="middle")
    steps = [place(0, 0)]
    for number, wait in enumerate(waits):
        steps += [place(wait, 100 * each / len(waits)) for each in (number, number + 1)]
    drawing.polyline([*steps, (right, place(0, 100)[1])], NOW, width=2)
    for percent, ms in old.items():
        drawing.mark(place(ms, percent), DOT, BEFORE, fill=BEFORE, tip=f"baseline's p{percent}: {ms:.0f} ms")
    return drawing.svg()


def _axis(drawing: Drawing, height: float, highest: float, unit: str, *, is_whole: bool = False) -> Scale:
    end = max(highest, 1.0)
    pixels = (WIDTH - LEFT - RIGHT) / end

    def x_of(value: float) -> float:
        return LEFT + value * pixels

    bottom = TOP + height
    for value in ticks(0.0, end, MOST_TICKS):
        if is_whole and value != int(value):
            continue
        drawing.line((x_of(value), TOP), (x_of(value), bottom), GRID)
        drawing.text((x_of(value), bottom + 18), f"{value:g}", colour=FAINT, size=12, anchor="middle")
    drawing.text((LEFT + (WIDTH - LEFT - RIGHT) / 2, bottom + 38), unit, colour=FAINT, anchor="middle")
    return x_of


def _name_columns(drawing: Drawing, head: Sequence[str]) -> None:
    for edge, name in zip(COLUMNS, head[1:], strict=False):
        drawing.text((WIDTH - RIGHT + edge, TOP - 10), name, colour=FAINT, size=12, anchor="end")


def _name_row(drawing: Drawing, y: float, row: Sequence[str]) -> None:
    drawing.text((LEFT - 12, y + 4), row[0], colour=INK, size=13, anchor="end")
    for edge, cell in zip(COLUMNS, row[1:], strict=False):
        drawing.text((WIDTH - RIGHT + edge, y + 4), cell, colour=INK, size=13, anchor="end")


def waterfall(title: str, rows: Sequence[tuple[str, Sequence[tuple[str, float]], float]]) -> str:
    """One row for each answer: its parts from left to right, in the order in which they happened.

    Args:
        title: what it shows.
        rows: name of the answer, its parts as (name, ms), and the whole wait in ms.
    """
    drawing = Drawing(WIDTH, TOP + ROW_HEIGHT * len(rows) + AXIS_HEIGHT, title=title, background=NONE)
    x_of = _axis(drawing, ROW_HEIGHT * len(rows), max(whole for _, _, whole in rows), "ms since the caller finished")
    for number, (name, parts, whole) in enumerate(rows):
        middle = TOP + (number + 0.5) * ROW_HEIGHT
        _name_row(drawing, middle, (name, f"{whole:.0f} ms"))
        begin = 0.0
        for part, ms in parts:
            colour, hatch = LOOKS.get(part, (NOW, ""))
            left, width = x_of(begin), x_of(begin + ms) - x_of(begin)
            drawing.rect(
                left, middle - BAR_HEIGHT / 2, width, BAR_HEIGHT, colour, hatch=hatch, tip=f"{part}: {ms:.1f} ms"
            )
            begin += ms
        if not parts:
            drawing.rect(
                LEFT, middle - BAR_HEIGHT / 2, x_of(whole) - LEFT, BAR_HEIGHT, BEFORE, tip="parts are not known"
            )
    return drawing.svg()
