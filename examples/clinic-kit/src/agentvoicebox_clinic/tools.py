"""The two tools: `find_appointment` reads, `cancel_appointment` has an effect."""

from typing import Annotated, Any

import msgspec

from agentvoicebox.tools.definition import (
    OUTCOME_UNKNOWN,
    TOOL_TIMEOUT,
    TOOL_UNAVAILABLE,
    Definition,
    Outcome,
    Tool,
    ToolContext,
)
from agentvoicebox_clinic.appointments import Appointment, Book, reference_in

STATUS = {
    "FOUND": "success",
    "CANCELLED": "success",
    "NOT_FOUND": "not_found",
    "INVALID": "invalid",
    "UNAVAILABLE": "unavailable",
    "UNKNOWN": "error",
    "ERROR": "error",
}
ASK = "What is your reference number? It has six digits."
SORRY = {
    "NOT_FOUND": "I can't find an appointment with that reference number.",
    "INVALID": ASK,
    "UNAVAILABLE": "I'm sorry, I can't open the appointment book right now.",
    "UNKNOWN": "I'm sorry, I can't tell whether that worked. Please call the front desk.",
    "ERROR": "I'm sorry, something went wrong with the appointment book.",
}


class Arguments(msgspec.Struct, frozen=True):
    """What both tools take."""

    reference: Annotated[str, msgspec.Meta(description="The reference number: six digits, as a string.")]


def outcome(code: str, speech: str = "", data: dict[str, Any] | None = None) -> Outcome:
    """An outcome whose output a language model reads as JSON."""
    speech, data = speech or SORRY[code], data or {}
    output = msgspec.json.encode({"code": code, "speech": speech, "data": data}).decode()
    return Outcome(code, output, speech, data, code in ("UNAVAILABLE", "UNKNOWN", "ERROR"), STATUS[code])


def failed(code: str) -> Outcome:
    """A failure code of the platform, in the words of this agent."""
    names = {TOOL_TIMEOUT: "UNAVAILABLE", TOOL_UNAVAILABLE: "UNAVAILABLE", OUTCOME_UNKNOWN: "UNKNOWN"}
    return outcome(names.get(code, "ERROR"))


FIND = Definition(
    name="find_appointment",
    description="Find an appointment. Returns JSON: `code`, `speech` (a true sentence to say), `data` (the facts).",
    arguments=Arguments,
    is_read_only=True,
    timeout_s=1.0,
    misfit=lambda _: outcome("INVALID"),
    failed=failed,
    codes=frozenset(STATUS),
)
CANCEL = Definition(
    name="cancel_appointment",
    description="Cancel an appointment, after the caller has said yes to it. Returns JSON like find_appointment.",
    arguments=Arguments,
    timeout_s=2.0,
    misfit=lambda _: outcome("INVALID"),
    failed=failed,
    codes=frozenset(STATUS),
)


def clinic_tools(book: Book, clinic: str) -> tuple[Tool, Tool]:
    """Both tools over a book. Args: clinic: its name, as it is said."""

    def report(found: Appointment | None) -> Outcome:
        if found is None:
            return outcome("NOT_FOUND")
        data = {name: getattr(found, name) for name in ("reference", "day", "time", "doctor", "is_cancelled")}
        what = f"on {found.day} at {found.time} with Doctor {found.doctor}"
        if found.is_cancelled:
            return outcome("CANCELLED", f"Your appointment {what} is cancelled.", data)
        return outcome("FOUND", f"Your appointment at {clinic} is {what}.", data)

    async def find(arguments: Arguments, context: ToolContext) -> Outcome:
        reference = reference_in(arguments.reference)
        return outcome("INVALID") if reference is None else report(await book.find(reference))

    async def cancel(arguments: Arguments, context: ToolContext) -> Outcome:
        reference = reference_in(arguments.reference)
        if reference is None:
            return outcome("INVALID")
        return report(await book.cancel(reference, context.session_id, context.call_id))

    return Tool(FIND, find), Tool(CANCEL, cancel)
