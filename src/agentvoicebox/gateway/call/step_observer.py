"""Observes the engine's steps for the recording, the latency accounts and the metrics. Changes nothing."""

from collections.abc import Iterable

from agentvoicebox.clock import Clock
from agentvoicebox.engine.effects import Effect
from agentvoicebox.engine.inputs import Input
from agentvoicebox.gateway.call.mailbox import PostedInput
from agentvoicebox.interactions.tape import Tape
from agentvoicebox.telemetry.metrics import Metrics
from agentvoicebox.telemetry.tap import TurnTap


class StepObserver:
    """One session's.

    Args:
        tape: what the recording is made of.
        tap: the latency accounts of its turns.
        metrics: of this gateway.
    """

    def __init__(self, tape: Tape, tap: TurnTap, metrics: Metrics, clock: Clock) -> None:
        self._tape = tape
        self._tap = tap
        self._metrics = metrics
        self._clock = clock

    def recorded(self, now_s: float, given: Input, effects: list[Effect]) -> None:
        """The engine was opened, or made this step at another gateway: for the recording alone."""
        self._tape.record(now_s, given, effects)

    def stepped(self, posted: PostedInput, now_s: float, effects: list[Effect], took_s: float) -> None:
        """The engine took an input at session time `now_s`."""
        self._tape.record(now_s, posted.given, effects)
        self._metrics.step_taken(took_s)
        self._tap.observe(self._clock.wall_s(), posted.given, effects, posted.record)

    def handled(self, batch: Iterable[PostedInput]) -> None:
        """The effects of these inputs were carried out."""
        done_s = self._clock.monotonic_s()
        for posted in batch:
            if posted.client_event:
                self._metrics.event_handled(posted.client_event, done_s - posted.posted_s)
