"""Answers of servers that stream otherwise than OpenAI's, each a row with what it means (`odd_stream.OddStream`)."""

from tests.kit.odd_calls import CALLS
from tests.kit.odd_texts import EMPTY, TEXTS, THOUGHTS
from tests.kit.odd_written_calls import WRITTEN_CALLS

ROWS = [*CALLS, *WRITTEN_CALLS, *TEXTS, *THOUGHTS]
"""All that say something."""

NOTHING_SAID = EMPTY
"""All that say nothing: the model is asked again."""
