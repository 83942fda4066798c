"""One tool call of a response, from the first piece of its arguments to its result.

Knows phases and ids; `tool_calls` applies the events and sends what follows. All phases change by TOOL_CALL below.
"""

from enum import StrEnum

import msgspec

from agentvoicebox.engine.machine import Machine


class CallPhase(StrEnum):
    """Where a tool call is in its life. A call of a client's function ends as WRITTEN: the client runs it."""

    WRITING = "writing"  # the language model writes its arguments
    WRITTEN = "written"  # complete; a server tool with side effects waits here while its turn is uncertain
    CUT_OFF = "cut_off"  # the model was stopped in the middle of it, or wrote no JSON object
    REFUSED = "refused"  # there is no tool of this name; the model reads that
    RUNNING = "running"  # a worker runs the server tool
    RETURNED = "returned"  # its result is known
    DETACHED = "detached"  # a side effect that goes on although its response has ended
    CANCELLED = "cancelled"  # a tool that only reads, stopped with its response


class CallEvent(StrEnum):
    """What moves a tool call to its next phase."""

    WRITTEN = "written"
    CUT_OFF = "cut_off"
    REFUSED = "refused"
    STARTED = "started"
    RETURNED = "returned"
    DETACHED = "detached"
    CANCELLED = "cancelled"


TOOL_CALL: Machine[CallPhase, CallEvent] = Machine(
    "tool_call",
    initial=(CallPhase.WRITING,),
    transitions={
        (CallPhase.WRITING, CallEvent.WRITTEN): CallPhase.WRITTEN,
        (CallPhase.WRITING, CallEvent.CUT_OFF): CallPhase.CUT_OFF,
        (CallPhase.WRITING, CallEvent.REFUSED): CallPhase.REFUSED,
        (CallPhase.WRITTEN, CallEvent.STARTED): CallPhase.RUNNING,
        (CallPhase.RUNNING, CallEvent.RETURNED): CallPhase.RETURNED,
        (CallPhase.RUNNING, CallEvent.DETACHED): CallPhase.DETACHED,
        (CallPhase.RUNNING, CallEvent.CANCELLED): CallPhase.CANCELLED,
        (CallPhase.DETACHED, CallEvent.RETURNED): CallPhase.RETURNED,
    },
)


class LiveToolCall(msgspec.Struct):
    """A tool call of the current generation.

    Attributes:
        index: the language worker's number for it.
        output_index: its place in the response's output; None for a call that the client never sees.
        is_unknown: neither the client nor the server has a tool of this name.
        job_id: the tool job of a server tool, once started.
        has_effects: its tool changes the world, so what has begun is not stopped.
        output: what a server tool returned.
    """

    index: int
    item_id: str
    call_id: str
    name: str
    phase: CallPhase = CallPhase.WRITING
    arguments: str = ""
    output_index: int | None = None
    job_id: str | None = None
    has_effects: bool = False
    output: str | None = None
    is_unknown: bool = False

    @property
    def is_server_tool(self) -> bool:
        """Whether the server runs it."""
        return self.output_index is None and not self.is_unknown

    @property
    def is_owed_by_client(self) -> bool:
        """Whether it is a whole call of a client's function: the client runs it and asks again."""
        return self.output_index is not None and self.phase is CallPhase.WRITTEN

    @property
    def is_running(self) -> bool:
        """Whether a worker runs it, for this response."""
        return self.phase is CallPhase.RUNNING

    def apply(self, event: CallEvent) -> None:
        """Go to the next phase. Raises IllegalTransition."""
        self.phase = TOOL_CALL.next(self.phase, event)


class DetachedCall(msgspec.Struct):
    """A tool with side effects that goes on although its response has ended.

    Attributes:
        response_id: which made the call.
        output_item_id: the hidden item that will hold its result.
        is_default: the result belongs to the session's conversation; else to the records alone.
    """

    call_id: str
    response_id: str
    output_item_id: str
    is_default: bool
    phase: CallPhase = CallPhase.DETACHED

    def apply(self, event: CallEvent) -> None:
        """Go to the next phase. Raises IllegalTransition."""
        self.phase = TOOL_CALL.next(self.phase, event)
