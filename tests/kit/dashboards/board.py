"""A dashboard: rows of panels, the data sources that its reader chooses, and links to the others."""

import copy
import json
from collections.abc import Sequence
from dataclasses import dataclass

from grafana_foundation_sdk.builders import dashboard
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import DashboardLinkType, VariableModel

from tests.kit.dashboards.panels import Panel

TAG = "agentvoicebox"


@dataclass(frozen=True)
class Row:
    """Panels that belong together."""

    title: str
    panels: Sequence[Panel]


@dataclass(frozen=True)
class Board:
    """One dashboard.

    Attributes:
        name: of its file; with `avb-` before it, its address in Grafana.
        variables: what its reader chooses above it; by default where the metrics are.
    """

    name: str
    title: str
    about: str
    rows: Sequence[Row]
    variables: Sequence[Builder[VariableModel]] = (
        dashboard.DatasourceVariable("metrics").label("Metrics").type("prometheus"),
    )
    from_time: str = "now-1h"

    def text(self) -> str:
        """The file that Grafana imports."""
        built = (
            dashboard.Dashboard(f"AgentVoiceBox: {self.title}")
            .uid(f"avb-{self.name}")
            .description(self.about)
            .tags([TAG])
            .refresh("30s")
            .time(self.from_time, "now")
            .timezone("browser")
            .link(
                dashboard.DashboardLink("AgentVoiceBox")
                .type(DashboardLinkType.DASHBOARDS)
                .tags([TAG])
                .as_dropdown(True)
                .keep_time(True)
            )
        )
        for variable in self.variables:
            built = built.with_variable(variable)
        for row in self.rows:
            built = built.with_row(dashboard.Row(row.title))
            for panel in row.panels:
                built = built.with_panel(copy.deepcopy(panel))  # several boards have it, each at a place of its own
        return JSONEncoder(sort_keys=True, indent=1).encode(_numbered(built)) + "\n"


def _numbered(built: dashboard.Dashboard) -> dict[str, object]:
    """With an id for each panel, by its place, so that links to a panel last."""
    whole: dict[str, object] = json.loads(JSONEncoder().encode(built.build()))
    panels = whole["panels"]
    assert isinstance(panels, list)
    for place, panel in enumerate(panels, start=1):
        panel["id"] = place
    return whole
