"""The tool core behind every door: calls in, one outcome for each, within four seconds, whatever happens.

Runs a batch at once under one deadline, answers the same call twice with the same words, and turns every failure into its true
sentence. What an answer means is `delivery.track`'s; how it is written, `render`'s.
"""

import asyncio
import hashlib
from collections.abc import Hashable, Sequence
from typing import Any

import msgspec

from agentvoicebox.clock import Clock, SystemClock
from agentvoicebox.delivery import reply, track
from agentvoicebox.errors import AgentVoiceBoxError
from agentvoicebox.shipments import budget
from agentvoicebox.telemetry.logs import get_logger
from agentvoicebox.webhook.arguments import UnreadableArguments, decode_arguments, readings
from agentvoicebox.webhook.extract import ToolCall
from agentvoicebox.webhook.idempotency import Idempotency
from agentvoicebox.webhook.look_up import LookUp
from agentvoicebox.webhook.masking import masked
from agentvoicebox.webhook.metrics import HotlineMetrics
from agentvoicebox.webhook.render import TOO_MANY_CALLS

DEADLINE_S = 4.0  # a platform may be told to wait five
MOST_CALLS = 16  # of one message that are looked up

_PASSING = frozenset({track.UNAVAILABLE, track.ERROR})  # asked again, it may come out better

log = get_logger(__name__)


class Dispatch:
    """Answers tool calls.

    Args:
        names: the look-up answers to these.
        tenant_id: whose parcels.
        deadline_s: for a batch.
    """

    def __init__(
        self,
        look_up: LookUp,
        metrics: HotlineMetrics,
        *,
        names: frozenset[str],
        tenant_id: str,
        deadline_s: float = DEADLINE_S,
        clock: Clock | None = None,
    ) -> None:
        self._look_up = look_up
        self._metrics = metrics
        self._names = names
        self._tenant_id = tenant_id
        self._deadline_s = deadline_s
        self._clock = clock or SystemClock()
        self._memory: Idempotency[track.Outcome] = Idempotency(
            keeps=lambda outcome: outcome.code not in _PASSING, on_replay=metrics.replayed, clock=clock
        )

    async def run(self, calls: Sequence[ToolCall], conversation_id: str | None) -> list[track.Outcome]:
        """The outcome of each call, in order. Raises nothing.

        Args:
            calls: any number; the first 16 are looked up.
            conversation_id: of the phone call or chat; without it a call isn't recognised when it comes again.
        """
        first = [self._within_deadline(call, conversation_id) for call in calls[:MOST_CALLS]]
        outcomes = await asyncio.gather(*first)
        rest = [track.Outcome(TOO_MANY_CALLS, reply.error()) for _ in calls[MOST_CALLS:]]
        for outcome in (*outcomes, *rest):
            self._metrics.tool_answered(outcome.code)
        return [*outcomes, *rest]

    def fault(self, call: ToolCall) -> track.Outcome | None:
        """What is wrong with a call's arguments before anything is looked up; None when nothing is."""
        given = self._given(call)
        if isinstance(given, track.Outcome):
            return given
        return None if track.wanted(given) else track.invalid_id()

    async def close(self) -> None:
        """End what is under way."""
        await self._memory.close()

    async def _within_deadline(self, call: ToolCall, conversation_id: str | None) -> track.Outcome:
        try:
            async with asyncio.timeout(self._deadline_s):
                key = _key(call, conversation_id)
                if key is None:
                    return await self._answer(call)
                return await self._memory.once(key, lambda: self._answer(call))
        except TimeoutError:
            return track.unavailable()
        except Exception as error:  # a caller is waiting: our own fault has a sentence, too
            log.error("tool call broke", error=type(error).__name__)
            return track.error()

    async def _answer(self, call: ToolCall) -> track.Outcome:
        began_s = self._clock.monotonic_s()
        try:
            # Its own limit, as it outlives a caller who leaves.
            async with asyncio.timeout(self._deadline_s):
                outcome = await self._track(call)
        except TimeoutError:
            outcome = track.unavailable()
        except AgentVoiceBoxError as error:
            log.warning("look-up failed", code=error.code)
            outcome = track.unavailable() if error.retryable else track.error()
        except Exception as error:  # here, too, for a call whose caller has left: nobody else would hear of it
            log.error("look-up broke", error=type(error).__name__)
            outcome = track.error()
        took_ms = round((self._clock.monotonic_s() - began_s) * 1000, 1)
        log.info("tool call", tool_call=masked(call.id or ""), code=outcome.code, ms=took_ms)
        return outcome

    async def _track(self, call: ToolCall) -> track.Outcome:
        given = self._given(call)
        if isinstance(given, track.Outcome):
            return given
        asked = track.wanted(given)
        if not asked:
            return track.invalid_id()
        return budget.outcome(asked, await self._look_up.find(self._tenant_id, asked))

    def _given(self, call: ToolCall) -> list[str] | track.Outcome:
        if call.name not in self._names:
            return track.unknown_tool(call.name)
        try:
            return readings(decode_arguments(call.arguments))
        except UnreadableArguments:
            return track.invalid_arguments()


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
