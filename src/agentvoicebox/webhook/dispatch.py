"""Runs tool calls of webhooks: one outcome for each call, within four seconds, whatever happens.

Runs a batch at once under one deadline, answers the same call twice with the same words, and gives each failure a sentence that
may be spoken. What a tool is and how it reads its arguments is up to `tools.registry`; how an outcome is written, to `render`.
"""

import asyncio
import hashlib
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import msgspec

from agentvoicebox.clock import Clock, SystemClock
from agentvoicebox.policy.decisions import Decisions
from agentvoicebox.policy.tool_calls import refusal
from agentvoicebox.telemetry.logs import get_logger
from agentvoicebox.tools.definition import (
    INVALID_ARGUMENTS,
    NOT_ALLOWED,
    OUTCOME_UNKNOWN,
    TOOL_FAILED,
    TOOL_TIMEOUT,
    TOOL_UNAVAILABLE,
    Outcome,
    ToolContext,
)
from agentvoicebox.tools.registry import Registry
from agentvoicebox.webhook.extract import WebhookToolCall
from agentvoicebox.webhook.idempotency import Idempotency
from agentvoicebox.webhook.masking import masked
from agentvoicebox.webhook.metrics import WebhookMetrics
from agentvoicebox.webhook.render import TOO_MANY_CALLS, UNKNOWN_TOOL

DEADLINE_S = 4.0  # a platform may be told to wait five
MOST_CALLS = 16  # of one message that are run

ACTOR = "webhook"  # the caller in the audit log; the platform's own ids stay out of it

UNAVAILABLE, ERROR = "UNAVAILABLE", "ERROR"  # codes of failures whose tool has none of its own
SORRY_UNAVAILABLE = "I'm sorry, I can't reach our records right now. Please try again in a few minutes."
SORRY_ERROR = "I'm sorry, something went wrong while I was looking that up."
CODES = frozenset(
    {"OK", UNKNOWN_TOOL, TOO_MANY_CALLS, UNAVAILABLE, ERROR, OUTCOME_UNKNOWN, INVALID_ARGUMENTS, NOT_ALLOWED}
)
_FINAL = frozenset({UNKNOWN_TOOL, OUTCOME_UNKNOWN})  # failures that another try would not change

log = get_logger(__name__)


class Dispatch:
    """Answers tool calls.

    Args:
        registry: the tools. A call is begun again when it comes again and its outcome was a failure; never one that may have
            changed something.
        aliases: name in a platform's dashboard → the tool's own.
        tenant_id: the tenant on whose behalf tools are called.
        deadline_s: for a batch.
        decisions: which tools the tenant may call; None: all of them.
    """

    def __init__(
        self,
        registry: Registry,
        metrics: WebhookMetrics,
        *,
        aliases: Mapping[str, str],
        tenant_id: str,
        deadline_s: float = DEADLINE_S,
        decisions: Decisions | None = None,
        clock: Clock | None = None,
    ) -> None:
        self.registry = registry
        self._metrics = metrics
        self._aliases = aliases
        self._tenant_id = tenant_id
        self._deadline_s = deadline_s
        self._decisions = decisions
        self._clock = clock or SystemClock()
        self._memory: Idempotency[Outcome] = Idempotency(
            keeps=lambda outcome: not outcome.is_error or outcome.code in _FINAL,
            on_replay=metrics.replayed,
            clock=clock,
        )

    async def run(self, calls: Sequence[WebhookToolCall], conversation_id: str | None) -> list[Outcome]:
        """The outcome of each call, in order. Raises nothing.

        Args:
            calls: any number; the first 16 are run.
            conversation_id: of the phone call or chat; without it a call isn't recognised when it comes again.
        """
        first = [self._within_deadline(call, conversation_id) for call in calls[:MOST_CALLS]]
        outcomes = await asyncio.gather(*first)
        rest = [Outcome(TOO_MANY_CALLS, "", SORRY_ERROR, is_error=True) for _ in calls[MOST_CALLS:]]
        for outcome in (*outcomes, *rest):
            self._metrics.tool_answered(outcome.code)
        return [*outcomes, *rest]

    async def close(self) -> None:
        """End what is under way."""
        await self._memory.close()

    async def _within_deadline(self, call: WebhookToolCall, conversation_id: str | None) -> Outcome:
        try:
            async with asyncio.timeout(self._deadline_s):
                key = _key(call, conversation_id)
                if key is None:
                    return await self._answer(call, "")
                return await self._memory.once(key, lambda: self._answer(call, conversation_id or ""))
        except TimeoutError:
            return self._failed(call, TOOL_TIMEOUT)
        except Exception as error:  # a caller is waiting: a bug of ours has a sentence, too
            log.error("tool call broke", error=type(error).__name__)
            return self._failed(call, TOOL_FAILED)

    async def _answer(self, call: WebhookToolCall, conversation_id: str) -> Outcome:
        """Outlives a caller who leaves; the registry keeps its time."""
        began_s = self._clock.monotonic_s()
        name = self._aliases.get(call.name, call.name)
        if self.registry.get(name) is None:
            outcome = Outcome(UNKNOWN_TOOL, "", SORRY_ERROR, {"tool": call.name[:64]}, is_error=True)
        else:
            context = ToolContext(self._tenant_id, conversation_id, "" if call.id is None else str(call.id))
            refused = await refusal(self._decisions, self._tenant_id, ACTOR, name)
            outcome = refused or await self.registry.run(name, call.arguments, context)
            if outcome.is_error and not outcome.speech:
                outcome = self._failed(call, outcome.code)
        took_ms = round((self._clock.monotonic_s() - began_s) * 1000, 1)
        log.info("tool call", tool_call=masked(call.id or ""), code=outcome.code, ms=took_ms)
        return outcome

    def _failed(self, call: WebhookToolCall, code: str) -> Outcome:
        """A failure, as the tool words it. Without JSON for a model: the call may hold half a surrogate pair."""
        tool = self.registry.get(self._aliases.get(call.name, call.name))
        if tool is not None and not tool.definition.is_read_only and code == TOOL_TIMEOUT:
            code = OUTCOME_UNKNOWN
        if tool is not None and tool.definition.failed is not None:
            return msgspec.structs.replace(tool.definition.failed(code), output="")
        if code in (TOOL_TIMEOUT, TOOL_UNAVAILABLE):
            return Outcome(UNAVAILABLE, "", SORRY_UNAVAILABLE, is_error=True, status="unavailable")
        return Outcome(OUTCOME_UNKNOWN if code == OUTCOME_UNKNOWN else ERROR, "", SORRY_ERROR, is_error=True)


def _key(call: WebhookToolCall, conversation_id: str | None) -> Hashable | None:
    """What makes a call the same as another: conversation, id, name and arguments; None when it can't be told."""
    if conversation_id is None or call.id is None:
        return None
    return (conversation_id, type(call.id), call.id, call.name, hashlib.sha256(_canonical(call.arguments)).digest())


def _canonical(arguments: Any) -> bytes:
    """Arguments as bytes that are equal when the arguments are."""
    try:
        return msgspec.json.encode(arguments, order="sorted")
    except UnicodeEncodeError:
        return repr(arguments).encode(errors="backslashreplace")
