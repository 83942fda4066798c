"""All dashboards, and where their files are."""

from pathlib import Path

from tests.kit.dashboards import metric_boards, record_boards

FOLDER = Path(__file__).parents[3] / "deploy" / "observability" / "grafana"
COMMAND = "write them with: make dashboards"
BOARDS = (*metric_boards.BOARDS, *record_boards.BOARDS)
