"""What a tool is: one typed definition, from which every protocol takes its description, and the function that runs it.

Decides how arguments become what `run` gets. How a definition looks in a protocol is up to `formats`.
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
TOOL_TIMEOUT = "tool_timeout"  # nothing was changed
TOOL_UNAVAILABLE = "tool_unavailable"  # it could not be asked, so nothing was changed
TOOL_FAILED = "tool_failed"  # it answered that it failed, or broke
NOT_ALLOWED = "not_allowed"  # the policy says no; nothing was changed
OUTCOME_UNKNOWN = "outcome_unknown"  # it was asked to change something, and it is not known whether it did

TIMEOUT_S = 5.0  # the longest silence that callers tolerate


class ToolContext(msgspec.Struct, frozen=True):
    """The caller of a tool.

    Attributes:
        session_id: of the spoken call, or the platform's conversation id; "" when there is none.
        call_id: of this call of the tool, unique within the session; "" when there is none.
    """

    tenant_id: str
    session_id: str = ""
    call_id: str = ""


class Outcome(msgspec.Struct, frozen=True):
    """The outcome of a call.

    Attributes:
        code: OK, a code of the tool's own, or one of the errors of this module.
        output: what a language model reads: one line, usually compact JSON.
        speech: a sentence to say, when the tool wrote one.
        data: facts, when the tool gave some.
        is_error: the tool could not do its work.
        status: how it went in one word, as a REST answer says it (`success`, `not_found`, `invalid`, `unavailable`, …); ""
            for `success` or `error`.
    """

    code: str
    output: str
    speech: str = ""
    data: dict[str, Any] = {}
    is_error: bool = False
    status: str = ""


def failure(code: str, **details: str | int) -> Outcome:
    """`{"error": code, …}`: the same failure in the same words, always."""
    return Outcome(code, msgspec.json.encode({"error": code, **details}).decode(), is_error=True)


@dataclass(frozen=True, kw_only=True)
class Definition:
    """The description of a tool, and the arguments it takes.

    Attributes:
        name: 1 to 64 letters, digits, `_` and `-`.
        description: for language models: what it does, what it returns, when to call it.
        arguments: a type, or a JSON schema of type `object`.
        is_read_only: it changes nothing, so it may run on a guess, be stopped, and run again.
        is_idempotent: it changes something, but twice is as good as once.
        timeout_s: for a call, all tries together.
        mend: turns arguments in other spellings into those that are taken, before they are checked.
        misfit: the outcome of arguments that can't be meant; by default an error that names the argument.
        unreadable: the outcome of arguments that are no object.
        failed: the outcome, with a sentence to say, of a failure code of this module; by default a general one.
        codes: outcome codes of the tool's own, for metrics.
    """

    name: str
    description: str
    arguments: type[msgspec.Struct] | Mapping[str, Any]
    is_read_only: bool = False
    is_idempotent: bool = False
    timeout_s: float = TIMEOUT_S
    mend: Callable[[dict[str, Any]], dict[str, Any]] | None = None
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
        """Arguments as `run` takes them: the type, or an object that fits the schema.

        Args:
            raw: JSON text as a model wrote it, or an object.

        Raises:
            Unreadable: they are no object. Misfit: one of them can't be meant.
        """
        given = decode(raw)
        if self.mend is not None:
            given = self.mend(given)
        fitted = fit(self.parameters, given)
        if isinstance(self.arguments, Mapping):
            return fitted
        try:
            return msgspec.convert(fitted, self.arguments, strict=False)
        except msgspec.ValidationError as error:
            raise Misfit("arguments", "not of the expected form") from error

    def refuse(self, fault: Misfit | Unreadable) -> Outcome:
        """The outcome of arguments that `read` refused."""
        if isinstance(fault, Misfit):
            if self.misfit is not None:
                return self.misfit(fault)
            return failure(INVALID_ARGUMENTS, argument=fault.where[:64], problem=fault.problem)
        return failure(INVALID_ARGUMENTS) if self.unreadable is None else self.unreadable()


@dataclass(frozen=True)
class Tool:
    """A definition that can be run.

    Attributes:
        run: gets what `definition.read` gave, and says what it came to. It may raise; see `Registry.run`.
    """

    definition: Definition
    run: Callable[[Any, ToolContext], Awaitable[Outcome]]

    @property
    def name(self) -> str:
        """The definition's."""
        return self.definition.name
