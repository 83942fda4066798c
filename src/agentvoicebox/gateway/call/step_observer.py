"""Observes the engine's steps for the recording, the latency accounts and the metrics. Changes nothing."""

from collections.abc import Iterable

from agentvoicebox.clock import Clock
from agentvoicebox.engine.effects import Effect
from agentvoicebox.engine.inputs import Input
from agentvoicebox.gateway.call.mailbox import PostedInput
from agentvoicebox.gateway.call.turn_counter import TurnCounter
from agentvoicebox.interactions.tape import Tape
from agentvoicebox.telemetry.metrics import Metrics
from agentvoicebox.telemetry.tap import TurnTap


class StepObserver:
    """One session's.

    Args:
        tape: what the recording is made of.
        tap: the latency accounts of its turns.
        turns: counts what became of its turns.
        metrics: of this gateway.
    """

    def __init__(self, tape: Tape, tap: TurnTap, turns: TurnCounter, metrics: Metrics, clock: Clock) -> None:
        self._turns = turns
        self._tape = tape
        self._tap = tap
        self._metrics = metrics
        self._clock = clock

    def recorded(self, now_s: float, given: Input, effects: list[Effect]) -> None:
        """The engine was opened, or made this step at another gateway: for the recording, and what is in force since then."""
        self._tape.record(now_s, given, effects)
        self._turns.configure(effects)

    def stepped(self, posted: PostedInput, now_s: float, effects: list[Effect], took_s: float) -> None:
        """The engine took an input at session time `now_s`."""
        self._tape.record(now_s, posted.given, effects)
        self._metrics.step_taken(took_s)
        at_s, came = self._clock.wall_s(), posted.came
        offset_s = at_s - self._clock.monotonic_s()
        came_s = None if came is None else (came.arrived_s + offset_s, came.taken_s + offset_s)
        self._tap.observe(at_s, posted.given, effects, posted.record, came_s)
        self._turns.count(now_s, posted.given, effects)
        self._turns.configure(effects)

    def handled(self, batch: Iterable[PostedInput]) -> None:
        """The effects of these inputs were carried out."""
        done_s = self._clock.monotonic_s()
        for posted in batch:
            if posted.client_event:
                self._metrics.event_handled(posted.client_event, done_s - posted.posted_s)
