"""Hands a caller over to a person: names the target of a transfer, or asks the operator's system for a call back.

Decides nothing about when; the dialogue or a language model calls it. A transfer is done by what holds the line (a telephone
bridge, a hosted platform): it reads `target` in this tool's result. A call back is one POST to the operator's address.
"""

from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import msgspec
import structlog

from agentvoicebox.tools.definition import Definition, Outcome, Tool, ToolContext
from agentvoicebox_delivery.dialogue import hand_over, phrases

TIMEOUT_S = 3.0

Post = Callable[[str, dict[str, Any]], Awaitable[None]]
"""(address, JSON body) → nothing. Raises httpx.HTTPError when the other side did not accept it."""

_log = structlog.get_logger(__name__)


def _outcome(code: str, speech: str, **data: str) -> Outcome:
    output = msgspec.json.encode({"code": code, "speech": speech, **data}).decode()
    return Outcome(code, output, speech, dict(data), is_error=code != hand_over.OK)


def _unavailable() -> Outcome:
    return _outcome(hand_over.UNAVAILABLE, phrases.NO_COLLEAGUE)


HAND_OVER = Definition(
    name=hand_over.NAME,
    description=hand_over.DESCRIPTION,
    arguments=hand_over.HandOverArguments,
    timeout_s=TIMEOUT_S,
    failed=lambda _: _unavailable(),
    codes=frozenset({hand_over.OK, hand_over.UNAVAILABLE}),
)


async def post_json(address: str, body: dict[str, Any]) -> None:
    """See Post."""
    async with httpx.AsyncClient(timeout=TIMEOUT_S) as client:
        (await client.post(address, json=body)).raise_for_status()


def hand_over_to(target: str, post: Post = post_json) -> Tool:
    """The tool.

    Args:
        target: `tel:` or `sip:` and the address of a transfer; `https:` or `http:`, where a call back is ordered; "" for
            neither: then every call of the tool answers UNAVAILABLE.
        post: sends the order of a call back.
    """

    async def run(arguments: hand_over.HandOverArguments, context: ToolContext) -> Outcome:
        if target.startswith(("tel:", "sip:", "sips:")):
            return _outcome(hand_over.OK, phrases.TRANSFERRED, kind="transfer", target=target)
        if not target:
            return _unavailable()
        body = {
            "tenant_id": context.tenant_id,
            "session_id": context.session_id,
            "call_id": context.call_id,
            "reason": arguments.reason[: hand_over.LONGEST_REASON],
            "tracking_id": arguments.tracking_id[: hand_over.LONGEST_REASON],
        }
        try:
            await post(target, body)
        except httpx.HTTPError as error:
            _log.warning("no call back was ordered", error=type(error).__name__)
            return _unavailable()
        return _outcome(hand_over.OK, phrases.WILL_BE_CALLED, kind="callback")

    return Tool(HAND_OVER, run)
