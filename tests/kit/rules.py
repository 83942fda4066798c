"""Rules, alerts and panels of `deploy/observability`, as the tests read them."""

import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

FOLDER = Path(__file__).parents[2] / "deploy" / "observability"
RULES = sorted((FOLDER / "prometheus" / "rules").glob("*.yml"))
RULE_TESTS = sorted((FOLDER / "prometheus" / "tests").glob("*.yml"))
DASHBOARDS = sorted((FOLDER / "grafana").glob("*.json"))
PROMETHEUS_PROGRAMS = ("prometheus", "promtool", "prometheus-alertmanager", "amtool")
OF_PROMETHEUS = {"up", "ALERTS"}  # what Prometheus itself says
METRIC = re.compile(r"\b(?:(?:avb[_:]|process_|python_)[a-z0-9_:]+|up\b|ALERTS\b)")

needs_prometheus = pytest.mark.skipif(
    not all(shutil.which(name) for name in PROMETHEUS_PROGRAMS),
    reason="needs Prometheus: `apt-get install prometheus prometheus-alertmanager`",
)


@dataclass(frozen=True)
class PanelQuery:
    """One query of a dashboard's panel.

    Attributes:
        place: `overview: Turns`.
        source: `prometheus` or `postgres`.
        text: PromQL or SQL.
    """

    place: str
    source: str
    text: str


def _rules(kind: str) -> Iterator[dict[str, Any]]:
    for path in RULES:
        for group in yaml.safe_load(path.read_text(encoding="utf-8"))["groups"]:
            yield from (rule for rule in group["rules"] if kind in rule)


def alerts() -> dict[str, dict[str, Any]]:
    """Every alert by name."""
    return {rule["alert"]: rule for rule in _rules("alert")}


def recorded() -> dict[str, str]:
    """The expression of every recording rule by name."""
    return {rule["record"]: rule["expr"] for rule in _rules("record")}


def panel_queries() -> Iterator[PanelQuery]:
    """Every query of every panel, as Grafana reads it from the files."""
    for path in DASHBOARDS:
        for panel in json.loads(path.read_text(encoding="utf-8"))["panels"]:
            for target in panel.get("targets", ()):
                source = target["datasource"]["type"]
                yield PanelQuery(
                    f"{path.stem}: {panel['title']}", source, target["expr" if source == "prometheus" else "rawSql"]
                )


def metrics_in(expression: str) -> set[str]:
    """Names of metrics and of recording rules in PromQL. Names of labels are never like them."""
    return set(METRIC.findall(expression))
