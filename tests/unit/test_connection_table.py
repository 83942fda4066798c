"""Which connection makes room for another one, and which never does (C11)."""

import pytest

from agentvoicebox.http_server.connection_table import ConnectionTable

pytestmark = pytest.mark.requirement("C11")


class Line:
    """A connection that knows whether it was aborted."""

    def __init__(self) -> None:
        self.is_aborted = False

    def abort(self) -> None:
        self.is_aborted = True


class Seen:
    """Remembers what the table told."""

    def __init__(self) -> None:
        self.limit = 0
        self.last = (0, 0)
        self.dropped: list[str] = []

    def set_limit(self, most: int) -> None:
        self.limit = most

    def connections_changed(self, total: int, unadmitted: int) -> None:
        self.last = (total, unadmitted)

    def connection_dropped(self, reason: str) -> None:
        self.dropped.append(reason)


def opened(table: ConnectionTable, source: str, count: int = 1) -> list[Line]:
    lines = [Line() for _ in range(count)]
    for line in lines:
        table.opened(line, source)
    return lines


def aborted(lines: list[Line]) -> list[bool]:
    return [line.is_aborted for line in lines]


def test_the_longest_waiting_of_a_source_makes_room_for_its_next() -> None:
    seen = Seen()
    table = ConnectionTable(most=100, most_unadmitted_of_source=3, observer=seen)
    (other,) = opened(table, "10.0.0.2")
    lines = opened(table, "10.0.0.1", 5)
    assert aborted(lines) == [True, True, False, False, False]
    assert not other.is_aborted
    assert (seen.dropped, seen.last, seen.limit) == (["source_limit"] * 2, (4, 4), 100)


def test_when_all_places_are_taken_the_longest_waiting_of_anybody_makes_room() -> None:
    table = ConnectionTable(most=3, most_unadmitted_of_source=0)
    lines = [opened(table, f"10.0.0.{number}")[0] for number in range(5)]
    assert aborted(lines) == [True, True, False, False, False]
    assert len(table) == 3


def test_an_admitted_connection_never_makes_room() -> None:
    table = ConnectionTable(most=3, most_unadmitted_of_source=2)
    calls = opened(table, "10.0.0.1", 2)
    for call in calls:
        table.admit(call)
    strangers = opened(table, "10.0.0.1", 50)
    assert aborted(calls) == [False, False]
    assert aborted(strangers) == [True] * 49 + [False]


def test_when_everybody_is_admitted_the_newcomer_is_refused() -> None:
    seen = Seen()
    table = ConnectionTable(most=2, observer=seen)
    calls = opened(table, "10.0.0.1", 2)
    for call in calls:
        table.admit(call)
    (late,) = opened(table, "10.0.0.2")
    assert late.is_aborted
    assert aborted(calls) == [False, False]
    assert (seen.dropped, len(table)) == (["limit"], 2)


def test_an_idle_connection_waits_again_from_its_last_answer_on() -> None:
    table = ConnectionTable(most=3, most_unadmitted_of_source=0)
    first, second, third = opened(table, "10.0.0.1", 3)
    table.admit(first)
    table.release(first)  # it was answered just now, so the others wait longer
    opened(table, "10.0.0.1", 2)
    assert aborted([first, second, third]) == [False, True, True]


def test_closing_twice_or_releasing_what_is_gone_changes_nothing() -> None:
    table = ConnectionTable()
    (line,) = opened(table, "10.0.0.1")
    table.closed(line)
    table.closed(line)
    table.release(line)
    table.admit(line)
    assert len(table) == 0


def test_a_warning_comes_near_the_limit_and_only_once(
    caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    table = ConnectionTable(most=10)
    lines = opened(table, "10.0.0.1", 9)
    for line in lines[4:]:
        table.closed(line)
    opened(table, "10.0.0.1", 4)
    said = capsys.readouterr().out
    assert said.count("many connections are open") == 2
    assert said.count("connections are few again") == 1
