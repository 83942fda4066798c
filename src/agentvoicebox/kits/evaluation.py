"""The port for the evaluation of a kit's agent: simulated backends, recorded answers, comparable facts, outcomes of calls."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import date
from pathlib import Path
from typing import Any, Protocol

import msgspec

from agentvoicebox.interactions.interaction import Interaction, ToolUse
from agentvoicebox.interactions.judge import UnsupportedClause
from agentvoicebox.settings import Settings

RunTool = Callable[[str, str], Awaitable[str]]
"""(tool name, arguments as JSON text) → the output that the language model reads."""


class RecordedOutcome(msgspec.Struct, frozen=True):
    """How a call, or a webhook request, came out.

    Attributes:
        name: one of the kit's `outcomes`.
        tries: how many requests it took until the tool had what the caller meant, at least 1; None if it never had.
    """

    name: str
    tries: int | None = None


class KitEvaluation(Protocol):
    """A kit's part in `agentvoicebox eval`.

    Attributes:
        scenarios: folder of the kit's scenario files.
        agent: name of the agent that answers unless a file names another one.
        language_model: name of the kit's deterministic model, used in simulations.
        failures: outcome codes of tool calls that got no answer.
        rest_route: the kit's own route on the webhook server (`ToolRoute`), for recordings that don't name their route; "" if
            there is none.
        outcomes: names of the ways in which calls come out, the best first.
        good_outcomes: those of them that are what the caller wanted.
    """

    scenarios: Path
    agent: str
    language_model: str
    failures: frozenset[str]
    rest_route: str
    outcomes: tuple[str, ...]
    good_outcomes: frozenset[str]

    def backend(self, name: str, today: date) -> RunTool:
        """The kit's tools with a scenario's backend: `up` (example data as of `today`) or `down`."""

    def recorded(self, use: ToolUse) -> RunTool:
        """The kit's tools with a backend that answers as it did when `use` was recorded.

        Raises:
            ValueError: the recorded outcome does not contain enough to reconstruct the answer.
        """

    def live(self, settings: Settings) -> AbstractAsyncContextManager[RunTool]:
        """The kit's read-only tools over the backend of these settings. A replay must not change anything there."""

    def tool_name(self, name: str) -> str:
        """The tool's own name for a name that a hosted platform's dashboard may use."""

    def result_facts(self, data: Mapping[str, Any], today: date, *, with_days: bool) -> dict[str, object]:
        """The facts of a tool result that must be equal in two runs; days are counted from `today`."""

    def stated_facts(
        self, lines: Sequence[str], today: date, results: Sequence[ToolUse] = (), *, with_days: bool = True
    ) -> frozenset[str]:
        """The facts that the agent's lines state, each as a short text that does not depend on the wording.

        Args:
            lines: what the agent said.
            today: the day of the call; days are counted from it.
            results: tool results whose names (places, companies) may occur in the lines.
            with_days: False leaves out facts that depend on the calendar.
        """

    def fact_fault(self, fact: Mapping[str, Any]) -> str:
        """The fault of an `[[expect.facts]]` table of a scenario; "" if it is valid."""

    def outcome(self, interaction: Interaction) -> RecordedOutcome:
        """How a recorded interaction came out. Needs no words."""

    def unkept_promises(self, interaction: Interaction) -> Sequence[UnsupportedClause]:
        """Sentences of an interaction with words in which the agent promised something that no tool call did."""

    def refuses(self, line: str) -> bool:
        """Whether a line of the agent says that it can't do or doesn't know something, other than a result of a tool."""

    def unmet(self, fact: Mapping[str, Any], lines: Sequence[str], today: date, *, with_days: bool) -> str:
        """Why the agent's lines do not state an expected fact, as a sentence; "" if they do."""
