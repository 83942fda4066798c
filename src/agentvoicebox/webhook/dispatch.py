"""Runs the tool calls of webhooks: one outcome for each call within four seconds, in every case.

Runs a batch concurrently under one deadline, gives repeated calls the same answer, and gives each failure a sentence that may be
spoken. `tools.registry` reads arguments and runs tools; `render` formats outcomes.
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

DEADLINE_S = 4.0  # platforms can be configured to wait five
MOST_CALLS = 16  # calls of one message that are run

ACTOR = "webhook"  # the actor in the audit log, which gets no ids of the platform

UNAVAILABLE, ERROR = "UNAVAILABLE", "ERROR"  # codes of failures for tools that define none
SORRY_UNAVAILABLE = "I'm sorry, I can't reach our records right now. Please try again in a few minutes."
SORRY_ERROR = "I'm sorry, something went wrong while I was looking that up."
CODES = frozenset(
    {"OK", UNKNOWN_TOOL, TOO_MANY_CALLS, UNAVAILABLE, ERROR, OUTCOME_UNKNOWN, INVALID_ARGUMENTS, NOT_ALLOWED}
)
_FINAL = frozenset({UNKNOWN_TOOL, OUTCOME_UNKNOWN})  # failures that a repetition would not change

log = get_logger(__name__)


class Dispatch:
    """Runs tool calls and returns their outcomes.

    Args:
        registry: the tools. A repeated call is run again if its outcome was a failure, but never if it may have had a side
            effect.
        aliases: name in a platform's dashboard → the tool's own name.
        tenant_id: the tenant in whose name tools are called.
        deadline_s: for a batch.
        decisions: decide which tools the tenant may call; None: all of them.
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
            should_store=lambda outcome: not outcome.is_error or outcome.code in _FINAL,
            on_replay=metrics.replayed,
            clock=clock,
        )

    async def run(self, calls: Sequence[WebhookToolCall], conversation_id: str | None) -> list[Outcome]:
        """The outcome of each call, in order. Raises nothing.

        Args:
            calls: any number; only the first 16 are run.
            conversation_id: of the phone call or chat; without it repeated calls are not detected.
        """
        first = [self._within_deadline(call, conversation_id) for call in calls[:MOST_CALLS]]
        outcomes = await asyncio.gather(*first)
        rest = [Outcome(TOO_MANY_CALLS, "", SORRY_ERROR, is_error=True) for _ in calls[MOST_CALLS:]]
        for outcome in (*outcomes, *rest):
            self._metrics.tool_answered(outcome.code)
        return [*outcomes, *rest]

    async def close(self) -> None:
        """Cancel running calls."""
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
        except Exception as error:  # a caller is waiting, so a bug also gets a sentence
            log.error("tool call failed", error=type(error).__name__)
            return self._failed(call, TOOL_FAILED)

    async def _answer(self, call: WebhookToolCall, conversation_id: str) -> Outcome:
        """Run one call. It continues when the request is cancelled; the registry applies the timeout."""
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
        """The outcome for a failure, in the tool's wording. `output` stays empty: the call may contain half a surrogate pair."""
        tool = self.registry.get(self._aliases.get(call.name, call.name))
        if tool is not None and not tool.definition.is_read_only and code == TOOL_TIMEOUT:
            code = OUTCOME_UNKNOWN
        if tool is not None and tool.definition.failed is not None:
            return msgspec.structs.replace(tool.definition.failed(code), output="")
        if code in (TOOL_TIMEOUT, TOOL_UNAVAILABLE):
            return Outcome(UNAVAILABLE, "", SORRY_UNAVAILABLE, is_error=True, status="unavailable")
        return Outcome(OUTCOME_UNKNOWN if code == OUTCOME_UNKNOWN else ERROR, "", SORRY_ERROR, is_error=True)


def _key(call: WebhookToolCall, conversation_id: str | None) -> Hashable | None:
    """The identity of a call: conversation, id, name and arguments; None without a conversation or an id."""
    if conversation_id is None or call.id is None:
        return None
    return (conversation_id, type(call.id), call.id, call.name, hashlib.sha256(_canonical(call.arguments)).digest())


def _canonical(arguments: Any) -> bytes:
    """Canonical bytes of arguments: equal if the arguments are equal."""
    try:
        return msgspec.json.encode(arguments, order="sorted")
    except UnicodeEncodeError:
        return repr(arguments).encode(errors="backslashreplace")
