"""The clinic's part in `agentvoicebox eval`. Implements kits.evaluation.KitEvaluation."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import date
from pathlib import Path
from typing import Any

from agentvoicebox.ids import DEFAULT_TENANT
from agentvoicebox.interactions.interaction import Interaction, ToolUse
from agentvoicebox.interactions.judge import UnsupportedClause
from agentvoicebox.kits.evaluation import RecordedOutcome, RunTool
from agentvoicebox.settings import Settings
from agentvoicebox.tools.definition import Tool, ToolContext
from agentvoicebox.tools.registry import Registry
from agentvoicebox_clinic.appointments import EXAMPLES, Appointment, Book, MemoryBook, SqliteBook
from agentvoicebox_clinic.facts import facts_in, read
from agentvoicebox_clinic.settings import ClinicSettings
from agentvoicebox_clinic.tools import CANCEL, clinic_tools


class ClinicEvaluation:
    """See KitEvaluation."""

    scenarios = Path(__file__).with_name("scenarios")
    agent = "clinic"
    language_model = "clinic"
    failures = frozenset({"UNAVAILABLE", "UNKNOWN", "ERROR"})
    rest_route = ""
    outcomes: tuple[str, ...] = ("found", "cancelled", "not found", "unavailable", "no look-up")
    good_outcomes = frozenset({"found", "cancelled"})

    def backend(self, name: str, today: date) -> RunTool:
        """See KitEvaluation."""
        return _over(MemoryBook(None if name == "down" else EXAMPLES))

    def recorded(self, use: ToolUse) -> RunTool:
        """See KitEvaluation."""
        if use.code in ("FOUND", "CANCELLED"):
            data = read(use.output)["data"] | {"patient": ""}
            was_cancelled = use.code == "CANCELLED" and use.name != CANCEL.name
            return _over(MemoryBook([Appointment(**data | {"is_cancelled": was_cancelled})]))
        if use.code in ("NOT_FOUND", "INVALID"):
            return _over(MemoryBook(()))
        raise ValueError(f"an outcome {use.code or 'without a code'} says nothing about the book")

    def live(self, settings: Settings) -> AbstractAsyncContextManager[RunTool]:
        """See KitEvaluation: `find_appointment` alone, so that a replay cancels nothing."""
        return _live(settings)

    def tool_name(self, name: str) -> str:
        """See KitEvaluation."""
        return name

    def result_facts(self, data: Mapping[str, Any], today: date, *, with_days: bool) -> dict[str, object]:
        """See KitEvaluation."""
        return dict(data)

    def stated_facts(
        self, lines: Sequence[str], today: date, results: Sequence[ToolUse] = (), *, with_days: bool = True
    ) -> frozenset[str]:
        """See KitEvaluation."""
        return frozenset(f"{kind}: {value}" for kind, value in facts_in(" ".join(lines)))

    def fact_fault(self, fact: Mapping[str, Any]) -> str:
        """See KitEvaluation: a fact is `states = "Tuesday 9:30 Doctor Lee"`."""
        is_valid = set(fact) == {"states"} and facts_in(str(fact["states"]))
        return "" if is_valid else "give `states`, with a day, a time or a doctor"

    def outcome(self, interaction: Interaction) -> RecordedOutcome:
        """See KitEvaluation: by the last answer of a tool; a try is a reference number that was looked up."""
        codes = [use.code for use in interaction.tool_calls]
        names = {"FOUND": "found", "CANCELLED": "cancelled", "NOT_FOUND": "not found", "INVALID": "not found"}
        name = names.get(codes[-1], "unavailable") if codes else "no look-up"
        return RecordedOutcome(name, codes.index("FOUND") + 1 if "FOUND" in codes else None)

    def unkept_promises(self, interaction: Interaction) -> Sequence[UnsupportedClause]:
        """See KitEvaluation: this agent writes no sentences of its own."""
        return ()

    def refuses(self, line: str) -> bool:
        """See KitEvaluation."""
        return "I can only" in line

    def unmet(self, fact: Mapping[str, Any], lines: Sequence[str], today: date, *, with_days: bool) -> str:
        """See KitEvaluation."""
        missing = facts_in(fact["states"]) - facts_in(" ".join(lines))
        return f"the caller did not hear {', '.join(sorted(value for _, value in missing))}" if missing else ""


def _over(book: Book) -> RunTool:
    return _running(clinic_tools(book, ClinicSettings().clinic_name))


def _running(tools: Sequence[Tool]) -> RunTool:
    registry = Registry(tools)

    async def run(name: str, arguments: str) -> str:
        return (await registry.run(name, arguments, ToolContext(DEFAULT_TENANT))).output

    return run


@asynccontextmanager
async def _live(settings: Settings) -> AsyncIterator[RunTool]:
    book = await asyncio.to_thread(SqliteBook.of, settings)
    find, _ = clinic_tools(book, ClinicSettings.of(settings).clinic_name)
    yield _running([find])
