"""The traces of one call: passes on what its spans will be made from. Costs the call a look at its account and an append."""

from collections.abc import Callable

from agentvoicebox.telemetry.spans import CallFacts, SpanFacts, TurnEnd, call_span, turn_spans
from agentvoicebox.telemetry.turn_account import TurnAccount

MakeSpans = Callable[[], list[SpanFacts]]


class CallTracer:
    """One call's.

    Args:
        put: takes what makes spans, without waiting; it is called later, in another thread.
    """

    def __init__(self, call: CallFacts, put: Callable[[MakeSpans], None]) -> None:
        self._call = call
        self._put = put
        self._turns = 0

    def turn_ended(self, account: TurnAccount, end: TurnEnd) -> None:
        """A response ended."""
        self._turns += 1
        self._put(lambda: turn_spans(self._call, account, end))

    def call_ended(self, at_s: float) -> None:
        """The session is over, at this wall time."""
        turns = self._turns
        self._put(lambda: [call_span(self._call, at_s, turns)])
