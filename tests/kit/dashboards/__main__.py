"""Write every dashboard: `make dashboards`."""

from tests.kit.dashboards.boards import BOARDS, FOLDER

for old in FOLDER.glob("*.json"):
    old.unlink()
for board in BOARDS:
    (FOLDER / f"{board.name}.json").write_text(board.text(), encoding="utf-8")
