"""Pictures of the dashboards, drawn from a Prometheus as Grafana would draw them: one for each dashboard of metrics.

`python -m tests.kit.dashboards.pictures --prometheus http://127.0.0.1:9090 --minutes 10 --out docs/images/dashboards`
"""

import argparse
import json
import math
import re
import textwrap
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx
import matplotlib

matplotlib.use("Agg")

from matplotlib import pyplot
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from tests.kit.dashboards.boards import FOLDER

POINTS = 240  # of a line
COLUMNS = 24  # of Grafana's grid
UNIT_INCHES = (0.62, 0.34)  # one cell of the grid
MOST_LINES, MOST_ROWS, LEGEND_CHARACTERS = 10, 14, 34
FAINT = "#8a8f98"


def shown(value: float, unit: str) -> str:
    """A value as Grafana shows it: `120 ms`, `3.5 %`."""
    match unit:
        case "s" if value < 1:
            return f"{value * 1000:.3g} ms"
        case "s":
            return f"{value:.3g} s"
        case "percentunit":
            return f"{value * 100:.3g} %"
        case "bytes" | "Bps":
            return f"{value / 1e6:.3g} MB" + ("/s" if unit == "Bps" else "")
        case "ops":
            return f"{value:.3g}/s"
    return f"{value:.4g}"


def label_of(legend: str, labels: Mapping[str, str]) -> str:
    """A legend with the values of its labels; by default all labels."""
    if legend == "__auto":
        return " ".join(value for name, value in labels.items() if name != "__name__") or "value"
    return re.sub(r"\{\{(\w+)\}\}", lambda found: labels.get(found[1], ""), legend).strip()


class Drawing:
    """Draws panels with the data of one Prometheus.

    Args:
        ask: path and parameters of its API → the `result`.
        end_s: the newest time, Unix seconds.
        span_s: how far back.
        rate_window: of rates.
    """

    def __init__(self, ask: Callable[..., list[Any]], *, end_s: float, span_s: float, rate_window: str) -> None:
        self._ask = ask
        self._end_s = end_s
        self._span_s = span_s
        self._rate_window = rate_window

    def draw(self, board: Mapping[str, Any]) -> Figure:
        """The whole dashboard."""
        panels = board["panels"]
        height = max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in panels)
        figure = pyplot.figure(figsize=(COLUMNS * UNIT_INCHES[0], height * UNIT_INCHES[1] + 0.5))
        top = 1 - 0.45 / figure.get_figheight()
        figure.text(0.012, 1 - 0.3 / figure.get_figheight(), board["title"], fontsize=13, fontweight="bold")
        for panel in panels:
            place = panel["gridPos"]
            x, width = place["x"] / COLUMNS, place["w"] / COLUMNS
            y, tall = top * (1 - (place["y"] + place["h"]) / height), top * place["h"] / height
            if panel["type"] == "row":
                figure.text(x + 0.012, y + tall / 3, panel["title"], fontsize=11, color="#3b6ea5", fontweight="bold")
                continue
            pad_x, pad_y = 0.4 / COLUMNS, 0.4 / height
            axes = figure.add_axes((x + 2.5 * pad_x, y + 3 * pad_y, width - 3.5 * pad_x, tall - 6 * pad_y))
            {"timeseries": self._lines, "stat": self._number, "table": self._table}[panel["type"]](axes, panel)
        return figure

    def _query(self, expression: str, path: str = "query", **parameters: float) -> list[Any]:
        return self._ask(path, query=expression.replace("$__rate_interval", self._rate_window), **parameters)

    def _lines(self, axes: Axes, panel: Mapping[str, Any]) -> None:
        defaults = panel["fieldConfig"]["defaults"]
        series = self._series(panel["targets"])
        moving = {name: points for name, points in series.items() if any(points.values())}
        biggest = sorted(moving, key=lambda name: -max(moving[name].values()))[:MOST_LINES]
        drawn = {name: moving[name] for name in moving if name in biggest}
        if "stacking" in defaults.get("custom", {}):
            times = sorted({at for points in drawn.values() for at in points})
            rows = [[points.get(at, 0.0) for at in times] for points in drawn.values()]
            if times:
                axes.stackplot(times, rows, labels=list(drawn), alpha=0.7)
        else:
            for name, points in drawn.items():
                axes.plot(
                    list(points), list(points.values()), linewidth=1.3, label=textwrap.shorten(name, LEGEND_CHARACTERS)
                )
        axes.set_title(panel["title"], fontsize=9, loc="left")
        axes.set_xlim(-self._span_s / 60, 0)
        axes.set_ylim(0, None if drawn else 1)
        axes.grid(alpha=0.25)
        axes.tick_params(labelsize=7)
        axes.xaxis.set_major_formatter(FuncFormatter(lambda minutes, _: f"{minutes:g} min" if minutes else "now"))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: shown(value, defaults.get("unit", "short"))))
        if others := len(series) - len(drawn):
            more = " more" if drawn else ""
            axes.plot([], [], " ", label=f"{others}{more}" if len(moving) > len(drawn) else f"{others}{more} at 0")
        if series:
            axes.legend(fontsize=6, loc="upper left", framealpha=0.6)
        else:
            axes.text(0.5, 0.5, "nothing", transform=axes.transAxes, ha="center", color=FAINT)

    def _series(self, targets: Sequence[Mapping[str, Any]]) -> dict[str, dict[float, float]]:
        """By legend: minutes before now → value."""
        series: dict[str, dict[float, float]] = {}
        asked = {
            "start": self._end_s - self._span_s,
            "end": self._end_s,
            "step": max(1.0, self._span_s / POINTS),
        }
        for target in targets:
            for each in self._query(target["expr"], "query_range", **asked):
                points = {(float(at) - self._end_s) / 60: float(value) for at, value in each["values"]}
                if known := {at: value for at, value in points.items() if math.isfinite(value)}:
                    series[label_of(target["legendFormat"], each["metric"])] = known
        return series

    def _number(self, axes: Axes, panel: Mapping[str, Any]) -> None:
        defaults = panel["fieldConfig"]["defaults"]
        values = [float(each["value"][1]) for each in self._query(panel["targets"][0]["expr"], time=self._end_s)]
        bad_from = [step["value"] for step in defaults["thresholds"]["steps"] if step["value"] is not None]
        known = [value for value in values if math.isfinite(value)]
        is_bad = bool(bad_from and known and known[0] >= bad_from[0])
        axes.set_axis_off()
        axes.set_title(panel["title"], fontsize=9, loc="left")
        text = shown(known[0], defaults["unit"]) if known else "nothing"
        axes.text(0.5, 0.4, text, fontsize=17, ha="center", va="center", color="#c0392b" if is_bad else "#2e7d32")

    def _table(self, axes: Axes, panel: Mapping[str, Any]) -> None:
        rows = [
            [*(value for name, value in each["metric"].items() if name != "__name__"), each["value"][1]]
            for each in self._query(panel["targets"][0]["expr"], time=self._end_s)
        ]
        axes.set_axis_off()
        axes.set_title(panel["title"], fontsize=9, loc="left")
        for place, row in enumerate(sorted(rows)[:MOST_ROWS]):
            axes.text(0.02, 0.94 - place / MOST_ROWS, "   ".join(row), fontsize=7, family="monospace", va="top")


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--prometheus", default="http://127.0.0.1:9090")
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--rate-window", default="1m", help="four times the time between two scrapes, or more")
    parser.add_argument("--out", type=Path, default=Path("docs/images/dashboards"))
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    with httpx.Client(trust_env=False, timeout=30.0) as client:

        def ask(path: str, **parameters: Any) -> list[Any]:
            answer = client.get(f"{given.prometheus}/api/v1/{path}", params=parameters).json()
            if answer["status"] != "success":
                raise SystemExit(f"Prometheus refuses {parameters}: {answer.get('error')}")
            result: list[Any] = answer["data"]["result"]
            return result

        drawing = Drawing(ask, end_s=time.time(), span_s=given.minutes * 60, rate_window=given.rate_window)
        for path in sorted(FOLDER.glob("*.json")):
            board = json.loads(path.read_text(encoding="utf-8"))
            if board["templating"]["list"][0]["query"] == "prometheus":
                figure = drawing.draw(board)
                figure.savefig(given.out / f"{path.stem}.png", dpi=72)
                pyplot.close(figure)


if __name__ == "__main__":
    main()
