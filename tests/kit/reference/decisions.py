"""`docs/adr/README.md`: the index of decisions."""

from pathlib import Path

from tests.kit.reference.markdown import head, table, text_of

FOLDER = Path(__file__).parents[3] / "docs" / "adr"


def page() -> str:
    """The page: one line for each decision, in order."""
    rows = []
    for path in sorted(FOLDER.glob("[0-9]*.md")):
        number, _, title = path.read_text(encoding="utf-8").partition("\n")[0].removeprefix("# ").partition(". ")
        rows.append((number, f"[{title}]({path.name})"))
    lines = head(
        "Decisions", "the pages beside it", "One page each: what was decided, what it costs, and what was rejected."
    )
    return text_of(lines + table(("no.", "decision"), rows))
