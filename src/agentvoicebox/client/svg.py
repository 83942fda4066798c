"""A picture in SVG: shapes, hatches, text and tooltips. Needs no drawing library and no display.

Lengths and positions are pixels; y grows downwards. The same calls give the same bytes.
"""

import math
from collections.abc import Iterable, Sequence
from html import escape

FONT = "system-ui, 'Segoe UI', 'Helvetica Neue', Arial, sans-serif"
CHARACTER_WIDTH = 0.54  # of the font size, on average; SVG can't measure text
TILE = 8
HATCHES = {  # hatch: strokes in a tile of TILE x TILE
    "...": "M2 2h.01M6 6h.01",
    "///": "M-1 3L3-1M-1 9L9-1M5 9L9 5",
    "\\\\\\": "M5-1L9 3M-1-1L9 9M-1 5L3 9",
}

Point = tuple[float, float]


class Drawing:
    """A picture that is being drawn; `svg` returns it.

    Args:
        width, height: in pixels.
        title: what it shows, for screen readers.
        background: a colour.
    """

    def __init__(self, width: float, height: float, *, title: str, background: str) -> None:
        self.width = width
        self.height = height
        self._title = title
        self._patterns: dict[str, str] = {}
        self._shapes: list[str] = []
        self.rect(0, 0, width, height, background)

    def rect(
        self,
        x: float,
        y: float,
        width: float,
        height: float,
        fill: str,
        *,
        hatch: str = "",
        opacity: float = 1.0,
        tip: str = "",
    ) -> None:
        """A filled rectangle; `hatch` is a key of HATCHES, or empty."""
        place = f'x="{_number(x)}" y="{_number(y)}" width="{_number(width)}" height="{_number(height)}"'
        self._add("rect", f'{place} fill="{self._fill(fill, hatch)}"{_opacity(opacity)}', tip)

    def line(self, start: Point, end: Point, colour: str, *, width: float = 1.0, opacity: float = 1.0) -> None:
        """A straight line."""
        (x1, y1), (x2, y2) = start, end
        ends = f'x1="{_number(x1)}" y1="{_number(y1)}" x2="{_number(x2)}" y2="{_number(y2)}"'
        self._add("line", f'{ends} stroke="{colour}" stroke-width="{_number(width)}"{_opacity(opacity)}')

    def polyline(self, points: Iterable[Point], colour: str, *, width: float = 1.5) -> None:
        """Connected lines."""
        self._add(
            "polyline", f'points="{_points(points)}" fill="none" stroke="{colour}" stroke-width="{_number(width)}"'
        )

    def polygon(self, points: Iterable[Point], fill: str) -> None:
        """A filled area."""
        self._add("polygon", f'points="{_points(points)}" fill="{fill}"')

    def mark(self, at: Point, strokes: str, colour: str, *, fill: str = "none", tip: str = "") -> None:
        """A small sign about a point; `strokes` is an SVG path around (0, 0)."""
        place = f'transform="translate({_number(at[0])} {_number(at[1])})"'
        self._add("path", f'd="{strokes}" {place} fill="{fill}" stroke="{colour}" stroke-width="1.5"', tip)

    def text(
        self,
        at: Point,
        words: str,
        *,
        colour: str,
        size: float = 12,
        anchor: str = "start",
        is_bold: bool = False,
        is_upright: bool = False,
    ) -> None:
        """One line of text with its baseline at `at`.

        Args:
            at: where it starts, or where the anchor is.
            words: without line breaks.
            colour: of the text.
            size: of the font.
            anchor: `start`, `middle` or `end`.
            is_bold: whether it is bold.
            is_upright: whether it is written from bottom to top.
        """
        x, y = (_number(value) for value in at)
        more = ' font-weight="bold"' if is_bold else ""
        more += f' transform="rotate(-90 {x} {y})"' if is_upright else ""
        more += f' text-anchor="{anchor}"' if anchor != "start" else ""
        self._shapes.append(
            f'<text x="{x}" y="{y}" font-size="{_number(size)}" fill="{colour}"{more}>{escape(words)}</text>'
        )

    def svg(self) -> str:
        """The picture as one `<svg>` element, for a file or for a place within HTML."""
        size = f'width="{_number(self.width)}" height="{_number(self.height)}"'
        box = f'viewBox="0 0 {_number(self.width)} {_number(self.height)}"'
        title = escape(self._title)
        patterns = "".join(self._patterns.values())
        return "\n".join([
            f'<svg xmlns="http://www.w3.org/2000/svg" {size} {box} role="img" aria-label="{title}" font-family="{FONT}">',
            f"<title>{title}</title>",
            *([f"<defs>{patterns}</defs>"] if patterns else []),
            *self._shapes,
            "</svg>\n",
        ])  # fmt: skip

    def _add(self, element: str, attributes: str, tip: str = "") -> None:
        self._shapes.append(
            f"<{element} {attributes}><title>{escape(tip)}</title></{element}>" if tip else f"<{element} {attributes}/>"
        )

    def _fill(self, colour: str, hatch: str) -> str:
        if not hatch:
            return colour
        # The name says what the pattern looks like, so pictures in one HTML page may share it.
        name = f"hatch-{colour.lstrip('#')}-{sorted(HATCHES).index(hatch)}"
        self._patterns[name] = (
            f'<pattern id="{name}" width="{TILE}" height="{TILE}" patternUnits="userSpaceOnUse">'
            f'<rect width="{TILE}" height="{TILE}" fill="{colour}"/>'
            f'<path d="{HATCHES[hatch]}" stroke="#ffffff" stroke-width="1.6" stroke-linecap="round"/></pattern>'
        )
        return f"url(#{name})"


def text_width(words: str, size: float) -> float:
    """About how wide a line of text is."""
    return len(words) * size * CHARACTER_WIDTH


def ticks(start: float, end: float, most: int) -> Sequence[float]:
    """At most `most` round numbers from `start` to `end`, at equal distances of 1, 2 or 5 times a power of ten."""
    span = max(end - start, 1e-9)
    power = 10.0 ** math.floor(math.log10(span / most))
    step = next(factor * power for factor in (1, 2, 5, 10, 20) if span / (factor * power) <= most - 1)
    return [step * number for number in range(math.ceil(start / step), math.floor(end / step) + 1)]


def _number(value: float) -> str:
    """At most two decimals, without trailing zeros."""
    return f"{value:.2f}".rstrip("0").rstrip(".")


def _opacity(value: float) -> str:
    return f' opacity="{_number(value)}"' if value != 1.0 else ""


def _points(points: Iterable[Point]) -> str:
    return " ".join(f"{_number(x)},{_number(y)}" for x, y in points)
