"""The page about events shows what the code sends, and the receivers that are tested."""

import json
import re
from pathlib import Path

import pytest
from tests.kit.outgoing_examples import examples

from agentvoicebox.storage.outgoing_event import EVENT_TYPES

pytestmark = pytest.mark.requirement("A0", "A18")

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "events.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("event_type", EVENT_TYPES)
def test_the_page_shows_the_body_of_each_type_as_the_code_makes_it(event_type: str) -> None:
    (shown,) = re.findall(rf"^### {re.escape(event_type)}\n\n```json\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    assert json.loads(shown) == examples()[event_type]


def test_the_table_lists_all_types_and_no_other() -> None:
    rows = re.findall(r"^\| \[`(agentvoicebox\.[a-z.]+)`\]\(\S+\) \| (.*) \|$", PAGE, re.MULTILINE)
    assert dict(rows) == EVENT_TYPES


@pytest.mark.parametrize(("language", "name"), [("python", "receiver.py"), ("javascript", "receiver.mjs")])
def test_the_receivers_of_the_page_are_those_that_are_tested(language: str, name: str) -> None:
    (shown,) = re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    assert shown == (ROOT / "examples" / "events" / name).read_text(encoding="utf-8")
