"""Small pieces of Markdown: a page's head, tables, code."""

import json
from collections.abc import Iterable, Sequence
from typing import Any

COMMAND = "python -m tests.kit.reference"


def head(title: str, source: str, *paragraphs: str) -> list[str]:
    """The first lines of a page; `source` is what it is generated from."""
    lines = [f"# {title}", "", f"Generated from {source} by `{COMMAND}`; do not edit."]
    for paragraph in paragraphs:
        lines += ["", paragraph]
    return lines


def section(title: str, *paragraphs: str, level: int = 2) -> list[str]:
    """A heading and its paragraphs; empty ones are left out."""
    lines = ["", f"{'#' * level} {title}"]
    for paragraph in filter(None, paragraphs):
        lines += ["", paragraph]
    return lines


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """A table, or nothing without rows. A bar inside a cell is escaped."""
    body = ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
    if not body:
        return []
    return ["", "| " + " | ".join(columns) + " |", "|" + "---|" * len(columns), *body]


def as_json(value: Any) -> list[str]:
    """A fenced block of JSON."""
    return ["", "```json", json.dumps(value, indent=2, ensure_ascii=False), "```"]


def code(text: str) -> str:
    """Inline code."""
    return f"`{text}`"


def text_of(lines: Iterable[str]) -> str:
    """The page."""
    return "\n".join(lines) + "\n"
