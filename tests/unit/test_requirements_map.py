"""Each requirement is shown by a test or a benchmark, or is listed as open with its reason; and the published page says so."""

import ast

import pytest
from tests.kit.requirements import PAGE, ROOT, _marked, evidence, page, rows

SHOWN = evidence()
ROWS = {row.id: row for row in rows()}


def test_no_row_is_listed_twice() -> None:
    assert len(ROWS) == len(rows())


def test_no_marker_names_an_unknown_row() -> None:
    assert {row: tests for row, tests in SHOWN.items() if row not in ROWS} == {}


@pytest.mark.parametrize("row_id", ROWS)
def test_a_row_has_something_that_shows_it_or_says_what_is_missing(row_id: str) -> None:
    row = ROWS[row_id]
    assert SHOWN.get(row_id) or row.by or row.open, (
        f"nothing shows {row_id}: mark a test, or say in `open` what is missing"
    )


def test_every_benchmark_that_a_row_names_exists() -> None:
    named = {each for row in ROWS.values() for each in row.by}
    assert {each for each in named if not each.startswith("make ") and not (ROOT / each).exists()} == set()


def test_the_page_is_current() -> None:
    assert PAGE.read_text() == page(SHOWN), "run `make requirements`"


def test_markers_are_found_wherever_they_may_stand() -> None:
    source = """
pytestmark = [pytest.mark.slow, pytest.mark.requirement("A1")]

@pytest.mark.requirement("A2", "A3")
def test_one(): ...

@pytest.mark.skipif(False, reason="")
@pytest.mark.requirement("A4")
async def test_two(): ...

@pytest.mark.requirement("A5")
class TestThree:
    @pytest.mark.requirement("A6")
    def test_four(self): ...
"""
    assert list(_marked(ast.parse(source))) == [
        ("A1", ""),
        ("A2", "::test_one"),
        ("A3", "::test_one"),
        ("A4", "::test_two"),
        ("A5", "::TestThree"),
        ("A6", "::TestThree::test_four"),
    ]
