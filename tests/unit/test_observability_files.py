"""Dashboards, rules, alerts and runbooks fit each other and the metrics that exist."""

import re
from collections import defaultdict
from pathlib import Path

import pytest
import yaml
from tests.kit.dashboards.board import Board
from tests.kit.dashboards.boards import BOARDS, COMMAND, FOLDER
from tests.kit.rules import OF_PROMETHEUS, RULE_TESTS, alerts, metrics_in, panel_queries, recorded

from agentvoicebox.telemetry.metrics import OUR_REFUSALS

pytestmark = pytest.mark.requirement("A13")

DOCS = Path(__file__).parents[2] / "docs"
RUNBOOKS = (DOCS / "runbooks.md").read_text(encoding="utf-8")
RUNBOOK_URL = "https://github.com/agentvoicebox/agentvoicebox/blob/main/docs/runbooks.md#"
ROW = re.compile(r"^\| `(?P<name>[a-z0-9_]+)` \| (?P<kind>\w+)", re.MULTILINE)
SECTIONS = dict(re.findall(r"^### (\w+)\n\n(.*?)(?=^##|\Z)", RUNBOOKS, re.MULTILINE | re.DOTALL))


def known_metrics() -> set[str]:
    """Every name that a query can find, from the generated reference."""
    page = (DOCS / "reference" / "metrics.md").read_text(encoding="utf-8")
    names = set()
    for row in ROW.finditer(page):
        parts = ("_bucket", "_sum", "_count") if row["kind"] == "histogram" else ("",)
        names |= {row["name"] + part for part in parts}
    assert names
    return names


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.name)
def test_a_dashboard_is_that_of_the_code(board: Board) -> None:
    assert (FOLDER / f"{board.name}.json").read_text(encoding="utf-8") == board.text(), COMMAND


def test_there_is_no_dashboard_without_code() -> None:
    assert {path.stem for path in FOLDER.glob("*.json")} == {board.name for board in BOARDS}


@pytest.mark.parametrize("name", alerts())
def test_an_alert_says_what_it_means_and_where_its_runbook_is(name: str) -> None:
    rule = alerts()[name]
    assert rule["labels"]["severity"] in ("page", "ticket")
    assert rule["annotations"].keys() == {"summary", "description", "runbook_url"}
    assert rule["annotations"]["runbook_url"] == RUNBOOK_URL + name.lower()


def test_each_alert_has_a_runbook_and_each_runbook_an_alert() -> None:
    assert SECTIONS.keys() == alerts().keys()


@pytest.mark.parametrize("name", SECTIONS)
def test_a_runbook_says_what_it_means_where_to_look_and_what_to_do(name: str) -> None:
    text = SECTIONS[name]
    assert text.startswith(f"`{alerts()[name]['labels']['severity']}`. **Means:**")
    assert ("**Look at:**" in text and "**Do:**" in text) or "**Look at, do:**" in text


def test_each_alert_is_shown_to_fire_and_to_end() -> None:
    fires: dict[str, list[float]] = defaultdict(list)
    rests: dict[str, list[float]] = defaultdict(list)
    for path in RULE_TESTS:
        for test in yaml.safe_load(path.read_text(encoding="utf-8"))["tests"]:
            for step in test["promql_expr_test"]:
                assert f'alertname="{test["name"]}",alertstate="firing"' in step["expr"]
                (fires if step["exp_samples"] else rests)[test["name"]].append(minutes(step["eval_time"]))
    assert fires.keys() == rests.keys() == alerts().keys()
    assert [name for name in fires if max(rests[name]) <= min(fires[name])] == []


def minutes(duration: str) -> float:
    """`3m30s` → 3.5."""
    units = {"h": 60.0, "m": 1.0, "s": 1 / 60}
    return sum(int(number) * units[unit] for number, unit in re.findall(r"(\d+)([hms])", duration))


def test_rules_and_panels_use_metrics_that_exist() -> None:
    known = known_metrics() | recorded().keys() | OF_PROMETHEUS
    used = {f"rule {name}": metrics_in(expr) for name, expr in recorded().items()}
    used |= {f"alert {name}": metrics_in(rule["expr"]) for name, rule in alerts().items()}
    for query in panel_queries():
        if query.source == "prometheus":
            used.setdefault(query.place, set()).update(metrics_in(query.text))
    assert {place: names - known for place, names in used.items() if names - known} == {}
    assert [place for place, names in used.items() if not names] == []


def test_each_recording_rule_is_used() -> None:
    used = {name for query in panel_queries() for name in metrics_in(query.text)}
    used |= {name for rule in alerts().values() for name in metrics_in(rule["expr"])}
    assert recorded().keys() - used == set()


def test_the_refusals_that_count_against_us_are_those_of_the_code() -> None:
    expressions = [*recorded().values(), *(rule["expr"] for rule in alerts().values())]
    named = {codes for expr in expressions for codes in re.findall(r'code=~"([a-z_|]+)"', expr)}
    assert len(named) == 1 and set(named.pop().split("|")) == OUR_REFUSALS
