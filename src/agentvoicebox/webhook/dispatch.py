"""From the doors to the tools: calls in, one outcome for each, within four seconds, whatever happens.

Runs a batch at once under one deadline, answers the same call twice with the same words, and gives each failure its true
sentence. What a tool is and how it reads its arguments is `tools.registry`'s; how an outcome is written, `render`'s.
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
from agentvoicebox.tools.definition import TOOL_TIMEOUT, TOOL_UNAVAILABLE, Outcome, ToolContext
from agentvoicebox.tools.registry import Registry
from agentvoicebox.webhook.extract import ToolCall
from agentvoicebox.webhook.idempotency import Idempotency
from agentvoicebox.webhook.masking import masked
from agentvoicebox.webhook.metrics import HotlineMetrics
from agentvoicebox.webhook.render import TOO_MANY_CALLS
from agentvoicebox_delivery.parcels import reply, track

DEADLINE_S = 4.0  # a platform may be told to wait five
MOST_CALLS = 16  # of one message that are run

ACTOR = "hotline"  # who calls, in the audit log; the platform's own ids stay out of it

_PASSING = frozenset({track.UNAVAILABLE, track.ERROR})  # asked again, it may come out better

log = get_logger(__name__)


class Dispatch:
    """Answers tool calls.

    Args:
        registry: the tools. All of them change nothing: a call is begun again when its answer was a failure.
        aliases: name in a platform's dashboard → the tool's own.
        tenant_id: on whose behalf.
        deadline_s: for a batch.
        decisions: which tools the tenant may call; None: all of them.
    """

    def __init__(
        self,
        registry: Registry,
        metrics: HotlineMetrics,
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
            keeps=lambda outcome: outcome.code not in _PASSING, on_replay=metrics.replayed, clock=clock
        )

    async def run(self, calls: Sequence[ToolCall], conversation_id: str | None) -> list[Outcome]:
        """The outcome of each call, in order. Raises nothing.

        Args:
            calls: any number; the first 16 are run.
            conversation_id: of the phone call or chat; without it a call isn't recognised when it comes again.
        """
        first = [self._within_deadline(call, conversation_id) for call in calls[:MOST_CALLS]]
        outcomes = await asyncio.gather(*first)
        rest = [Outcome(TOO_MANY_CALLS, "", reply.error(), is_error=True) for _ in calls[MOST_CALLS:]]
        for outcome in (*outcomes, *rest):
            self._metrics.tool_answered(outcome.code)
        return [*outcomes, *rest]

    async def close(self) -> None:
        """End what is under way."""
        await self._memory.close()

    async def _within_deadline(self, call: ToolCall, conversation_id: str | None) -> Outcome:
        try:
            async with asyncio.timeout(self._deadline_s):
                key = _key(call, conversation_id)
                if key is None:
                    return await self._answer(call, "")
                return await self._memory.once(key, lambda: self._answer(call, conversation_id or ""))
        except TimeoutError:
            return _failed(track.unavailable())
        except Exception as error:  # a caller is waiting: our own fault has a sentence, too
            log.error("tool call broke", error=type(error).__name__)
            return _failed(track.error())

    async def _answer(self, call: ToolCall, conversation_id: str) -> Outcome:
        """Outlives a caller who leaves; the registry keeps its time."""
        began_s = self._clock.monotonic_s()
        name = self._aliases.get(call.name, call.name)
        if self.registry.get(name) is None:
            outcome = _failed(track.unknown_tool(call.name))
        else:
            context = ToolContext(self._tenant_id, conversation_id, "" if call.id is None else str(call.id))
            refused = await refusal(self._decisions, self._tenant_id, ACTOR, name)
            outcome = _spoken(refused or await self.registry.run(name, call.arguments, context))
        took_ms = round((self._clock.monotonic_s() - began_s) * 1000, 1)
        log.info("tool call", tool_call=masked(call.id or ""), code=outcome.code, ms=took_ms)
        return outcome


def _spoken(outcome: Outcome) -> Outcome:
    """A failure of the registry's own has a code for models and no sentence; here a caller hears it."""
    if outcome.speech or not outcome.is_error:
        return outcome
    return _failed(track.unavailable() if outcome.code in (TOOL_TIMEOUT, TOOL_UNAVAILABLE) else track.error())


def _failed(told: track.LookupOutcome) -> Outcome:
    # Its name may hold half a surrogate pair, so it is no JSON yet; only a tool's own outcome has an output.
    return Outcome(told.code, "", told.speech, dict(told.data), is_error=True)


def _key(call: ToolCall, conversation_id: str | None) -> Hashable | None:
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
