"""What the evaluation of a kit's agent needs: simulated backends, recorded answers, and facts that can be compared."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import date
from pathlib import Path
from typing import Any, Protocol

from agentvoicebox.interactions.interaction import ToolUse
from agentvoicebox.settings import Settings

RunTool = Callable[[str, str], Awaitable[str]]
"""Tool name and arguments (JSON text, as a model wrote it) → the output that the model reads."""


class KitEvaluation(Protocol):
    """A kit's part in `agentvoicebox eval`.

    Attributes:
        scenarios: folder of its scenario files.
        agent: who answers in them unless a file names another agent.
        language_model: the kit's deterministic model that answers in a simulation.
        failures: outcome codes of tool calls that were not answered.
    """

    scenarios: Path
    agent: str
    language_model: str
    failures: frozenset[str]

    def backend(self, name: str, today: date) -> RunTool:
        """The kit's tools over a scenario's backend: `up` (example data as of `today`) or `down`."""

    def recorded(self, use: ToolUse) -> RunTool:
        """The kit's tools over a backend that answers as it must have answered when `use` was recorded.

        Raises:
            ValueError: the recorded outcome does not say enough.
        """

    def live(self, settings: Settings) -> AbstractAsyncContextManager[RunTool]:
        """The kit's read-only tools over the backend of these settings. A replay must not change anything there."""

    def tool_name(self, name: str) -> str:
        """The tool's own name, for a name that a hosted platform's dashboard may use."""

    def result_facts(self, data: Mapping[str, Any], today: date, *, with_days: bool) -> dict[str, object]:
        """The facts of a tool's result that two runs must have in common; days are counted from `today`."""

    def stated_facts(
        self, lines: Sequence[str], today: date, results: Sequence[ToolUse] = (), *, with_days: bool = True
    ) -> frozenset[str]:
        """The facts that lines of the agent state, each as a short text, whatever their wording.

        Args:
            lines: what the agent said.
            today: the day on which it was said; days are counted from it.
            results: tool results whose names (of places, of firms) may be among the words.
            with_days: False leaves out facts that depend on the calendar.
        """

    def fact_fault(self, fact: Mapping[str, Any]) -> str:
        """What is wrong with an `[[expect.facts]]` table of a scenario; "" when it is valid."""

    def unmet(self, fact: Mapping[str, Any], lines: Sequence[str], today: date, *, with_days: bool) -> str:
        """Why lines of the agent do not state an expected fact, as a sentence; "" when they do."""
