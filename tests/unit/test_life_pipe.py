"""A child's signs of life, and its last words."""

import os
from collections.abc import Iterator

import pytest

from agentvoicebox.supervisor.life_pipe import REASON_BYTES_MAX, LifePipe, give_reason, prove_life


class Heard:
    """The supervisor's end, with a count of what it heard."""

    def __init__(self) -> None:
        self.signs = 0
        self.pipe = LifePipe(self._hear)

    def _hear(self) -> None:
        self.signs += 1


@pytest.fixture
def heard() -> Iterator[Heard]:
    made = Heard()
    os.set_blocking(made.pipe.writing, False)
    yield made
    made.pipe.close()


def test_signs_of_life_are_heard_and_are_no_reason(heard: Heard) -> None:
    assert heard.pipe.read() and heard.signs == 0  # nothing yet
    prove_life(heard.pipe.writing)
    assert heard.pipe.read() and heard.signs == 1 and heard.pipe.reason == ""


def test_the_last_words_are_read_after_the_end_also_behind_a_sign_of_life(heard: Heard) -> None:
    prove_life(heard.pipe.writing)
    give_reason(heard.pipe.writing, "no room! Give me café.")
    heard.pipe.close_writing()
    heard.pipe.read_to_end()
    assert (heard.signs, heard.pipe.reason) == (1, "no room! Give me café.")
    assert not heard.pipe.read()


def test_a_child_that_said_nothing_has_no_reason(heard: Heard) -> None:
    heard.pipe.close_writing()
    heard.pipe.read_to_end()
    assert heard.pipe.reason == ""


def test_words_without_end_are_cut_and_a_deaf_supervisor_stops_nobody(heard: Heard) -> None:
    for _ in range(40):
        give_reason(heard.pipe.writing, "x" * 100_000)
    heard.pipe.read()
    assert heard.pipe.reason.startswith("x" * REASON_BYTES_MAX)
