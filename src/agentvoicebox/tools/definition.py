"""A tool: one typed definition, from which the descriptions for all protocols are made, and the function that runs it.

Decides how raw arguments are read. `formats` makes the descriptions for each protocol.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import msgspec

from agentvoicebox.tools.schema import Misfit, Unreadable, decode, fit, parameters_of

OK = "OK"
INVALID_ARGUMENTS = "invalid_arguments"
UNKNOWN_TOOL = "unknown_tool"
TOOL_TIMEOUT = "tool_timeout"  # no side effect
TOOL_UNAVAILABLE = "tool_unavailable"  # the tool could not be called, so no side effect
TOOL_FAILED = "tool_failed"  # the tool reported a failure, or raised
NOT_ALLOWED = "not_allowed"  # denied by the policy; no side effect
RESULT_TOO_LONG = "result_too_long"  # the tool did its work, but its output is longer than MAX_OUTPUT_BYTES
OUTCOME_UNKNOWN = "outcome_unknown"  # a side effect was started, and it is unknown whether it happened

MAX_OUTPUT_BYTES = 256 * 1024  # of any tool; a declared one has its own, smaller bound
TIMEOUT_S = 5.0  # callers do not tolerate a longer silence


class ToolContext(msgspec.Struct, frozen=True):
    """The caller of a tool.

    Attributes:
        session_id: of the spoken call, or the platform's conversation id; "" if there is none.
        call_id: of this tool call, unique within the session; "" if there is none.
    """

    tenant_id: str
    session_id: str = ""
    call_id: str = ""


class Outcome(msgspec.Struct, frozen=True):
    """The outcome of a tool call.

    Attributes:
        code: OK, a code of the tool, or one of the error codes of this module.
        output: text for a language model: one line, usually compact JSON.
        speech: a sentence to say; "" if the tool returned none.
        data: facts; {} if the tool returned none.
        is_error: whether the tool could not do its work.
        status: the status in a REST answer (`success`, `not_found`, `invalid`, `unavailable`, …); "" means `success` or
            `error`.
    """

    code: str
    output: str
    speech: str = ""
    data: dict[str, Any] = {}
    is_error: bool = False
    status: str = ""


def failure(code: str, **details: str | int) -> Outcome:
    """`{"error": code, …}`; the same failure always has the same text."""
    return Outcome(code, msgspec.json.encode({"error": code, **details}).decode(), is_error=True)


@dataclass(frozen=True, kw_only=True)
class Definition:
    """The description of a tool and of its arguments.

    Attributes:
        name: 1 to 64 letters, digits, `_` and `-`.
        description: for language models: what the tool does, what it returns, when to call it.
        arguments: a type, or a JSON schema of type `object`.
        is_read_only: it has no side effects, so it may run speculatively, be cancelled, and run again.
        is_idempotent: it has side effects, but a repeated call has no further effect.
        timeout_s: for one call with all its attempts.
        normalise: changes other spellings of arguments to the expected ones, before validation.
        misfit: the outcome for an invalid argument; by default an error that names it.
        unreadable: the outcome for arguments that are not an object.
        failed: the outcome for a failure code of this module, with a sentence to say; by default a general one.
        codes: the tool's own outcome codes, for metrics.
    """

    name: str
    description: str
    arguments: type[msgspec.Struct] | Mapping[str, Any]
    is_read_only: bool = False
    is_idempotent: bool = False
    timeout_s: float = TIMEOUT_S
    normalise: Callable[[dict[str, Any]], dict[str, Any]] | None = None
    misfit: Callable[[Misfit], Outcome] | None = None
    unreadable: Callable[[], Outcome] | None = None
    failed: Callable[[str], Outcome] | None = None
    codes: frozenset[str] = frozenset()

    @cached_property
    def parameters(self) -> dict[str, Any]:
        """The JSON schema of the arguments."""
        if isinstance(self.arguments, Mapping):
            return {"type": "object", "properties": {}, **self.arguments}
        return parameters_of(self.arguments)

    def read(self, raw: Any) -> Any:
        """Validate arguments and convert them to what `run` takes: the type, or an object that fits the schema.

        Args:
            raw: JSON text as a model wrote it, or an object.

        Raises:
            Unreadable: they are not an object. Misfit: an argument is invalid.
        """
        given = decode(raw)
        if self.normalise is not None:
            given = self.normalise(given)
        fitted = fit(self.parameters, given)
        if isinstance(self.arguments, Mapping):
            return fitted
        try:
            return msgspec.convert(fitted, self.arguments, strict=False)
        except msgspec.ValidationError as error:
            raise Misfit("arguments", "not of the expected form") from error

    def refuse(self, fault: Misfit | Unreadable) -> Outcome:
        """The outcome for arguments that `read` rejected."""
        if isinstance(fault, Misfit):
            if self.misfit is not None:
                return self.misfit(fault)
            return failure(INVALID_ARGUMENTS, argument=fault.where[:64], problem=fault.problem)
        return failure(INVALID_ARGUMENTS) if self.unreadable is None else self.unreadable()


@dataclass(frozen=True)
class Tool:
    """A definition that can be run.

    Attributes:
        run: takes the result of `definition.read` and returns the outcome. It may raise; see `Registry.run`.
    """

    definition: Definition
    run: Callable[[Any, ToolContext], Awaitable[Outcome]]

    @property
    def name(self) -> str:
        """Name of the definition."""
        return self.definition.name
