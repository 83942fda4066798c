"""The few kinds of panel that our dashboards are made of, and their queries."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from grafana_foundation_sdk.builders import common, dashboard, prometheus, stat, table, timeseries
from grafana_foundation_sdk.cog import variants
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models.common import (
    GraphDrawStyle,
    LegendDisplayMode,
    LegendPlacement,
    StackingMode,
    TooltipDisplayMode,
)
from grafana_foundation_sdk.models.dashboard import DataSourceRef, DynamicConfigValue, Threshold, ThresholdsMode
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

Panel = Builder[Any]

METRICS = DataSourceRef(type_val="prometheus", uid="${metrics}")
RECORDS = DataSourceRef(type_val="postgres", uid="${records}")
SECONDS, SHARE, COUNT, PER_SECOND, BYTES = "s", "percentunit", "short", "ops", "bytes"
GRAPH_WIDTH, GRAPH_HEIGHT = 8, 8  # a row of Grafana's grid is 24 wide
NUMBER_WIDTH, NUMBER_HEIGHT = 4, 4
NEWEST = common.ReduceDataOptions().calcs(["lastNotNull"])


@dataclass(frozen=True)
class Query:
    """A query of Prometheus.

    Attributes:
        legend: `{{label}}` is the value of a label.
        has_exemplars: whether its points lead to traces.
    """

    expr: str
    legend: str = ""
    has_exemplars: bool = False


class SqlQuery(Builder[variants.Dataquery], variants.Dataquery):
    """A query of PostgreSQL, for which the SDK has no type.

    Args:
        sql: with Grafana's macros.
        is_series: whether it gives points in time, in the columns `time` and, for several series, `metric`.
    """

    def __init__(self, sql: str, *, is_series: bool = False) -> None:
        self._sql = " ".join(sql.split())
        self._format = "time_series" if is_series else "table"

    def build(self) -> variants.Dataquery:
        """See Builder."""
        return self

    def to_json(self) -> dict[str, object]:
        """What Grafana stores."""
        source = {"type": RECORDS.type_val, "uid": RECORDS.uid}
        return {
            "refId": "A", "datasource": source, "format": self._format, "rawQuery": True, "rawSql": self._sql,
            "editorMode": "code",
        }  # fmt: skip


def _targets(queries: Sequence[Query]) -> list[Builder[variants.Dataquery]]:
    return [
        prometheus.Dataquery()
        .ref_id(chr(ord("A") + place))
        .datasource(METRICS)
        .expr(query.expr)
        .legend_format(query.legend or "__auto")
        .exemplar(query.has_exemplars)
        .range()
        for place, query in enumerate(queries)
    ]


def graph(title: str, *queries: Query, unit: str = COUNT, about: str = "", is_stacked: bool = False) -> Panel:
    """Lines over time.

    Args:
        about: what to see in it; the tooltip of its title.
        is_stacked: as areas on top of each other, for parts of a whole.
    """
    return _lines(title, unit, about, is_stacked).datasource(METRICS).targets(_targets(queries))


def records_graph(title: str, sql: str, *, unit: str = COUNT, about: str = "", is_stacked: bool = False) -> Panel:
    """The same, of PostgreSQL."""
    query = SqlQuery(sql, is_series=True)
    lines = _lines(title, unit, about, is_stacked).datasource(RECORDS).with_target(query)
    return lines.draw_style(GraphDrawStyle.BARS).fill_opacity(60) if is_stacked else lines


def _lines(title: str, unit: str, about: str, is_stacked: bool) -> timeseries.Panel:
    legend = (
        common.VizLegendOptions()
        .show_legend(True)
        .display_mode(LegendDisplayMode.LIST)
        .placement(LegendPlacement.BOTTOM)
        .calcs([])
    )
    panel = (
        timeseries.Panel()
        .title(title)
        .description(about)
        .unit(unit)
        .min(0)
        .span(GRAPH_WIDTH)
        .height(GRAPH_HEIGHT)
        .legend(legend)
        .tooltip(common.VizTooltipOptions().mode(TooltipDisplayMode.MULTI))
        .fill_opacity(10)
    )
    return panel.stacking(common.StackingConfig().mode(StackingMode.NORMAL)).fill_opacity(40) if is_stacked else panel


def number(title: str, query: Query, *, unit: str = COUNT, about: str = "", bad_from: float | None = None) -> Panel:
    """The newest value, red from `bad_from` on."""
    steps = [Threshold(value=None, color="green")]
    if bad_from is not None:
        steps.append(Threshold(value=bad_from, color="red"))
    thresholds = dashboard.ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(steps)
    return _value(title, unit, about).thresholds(thresholds).datasource(METRICS).targets(_targets([query]))


def records_number(title: str, sql: str, *, unit: str = COUNT, about: str = "") -> Panel:
    """The one value of a query of PostgreSQL."""
    return _value(title, unit, about).datasource(RECORDS).with_target(SqlQuery(sql))


def _value(title: str, unit: str, about: str) -> stat.Panel:
    panel = stat.Panel().title(title).description(about).unit(unit).span(NUMBER_WIDTH).height(NUMBER_HEIGHT)
    return panel.reduce_options(NEWEST)


def listing(title: str, query: Query, *, about: str = "") -> Panel:
    """A table of the newest values of labels."""
    target = prometheus.Dataquery().ref_id("A").datasource(METRICS).expr(query.expr).instant()
    return (
        table.Panel()
        .title(title)
        .description(about)
        .span(GRAPH_WIDTH)
        .height(GRAPH_HEIGHT)
        .show_header(True)
        .datasource(METRICS)
        .with_target(target.format(PromQueryFormat.TABLE))
    )


def records_listing(title: str, sql: str, *, about: str = "", links: dict[str, tuple[str, str]] | None = None) -> Panel:
    """Rows of PostgreSQL over the whole width.

    Args:
        links: by column: title and address of a link; `${__value.text}` is the cell.
    """
    panel = (
        table.Panel()
        .title(title)
        .description(about)
        .span(3 * GRAPH_WIDTH)
        .height(GRAPH_HEIGHT + 2)
        .show_header(True)
        .datasource(RECORDS)
        .with_target(SqlQuery(sql))
    )
    for column, (name, url) in (links or {}).items():
        link = {"title": name, "url": url, "targetBlank": False}
        panel = panel.override_by_name(column, [DynamicConfigValue(id_val="links", value=[link])])
    return panel
