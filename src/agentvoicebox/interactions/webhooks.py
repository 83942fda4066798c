"""A webhook request and its answer as an interaction. Pure; called when the answer is ready.

Tool calls and outcomes are read from the two bodies: from `results` in the hosted platform's format, or from an answer that is
itself an outcome (REST).
"""

import codecs
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from agentvoicebox import __version__
from agentvoicebox.interactions.from_log import code_of, iso_time
from agentvoicebox.interactions.interaction import Channel, Interaction, ToolUse, Wait
from agentvoicebox.interactions.recorder import InteractionRecorder

MOST_BYTES = 256 * 1024  # of a body that is recorded; platforms also send whole transcripts


def tool_use(name: str, arguments: object, output: str, *, took_ms: float | None = None) -> ToolUse:
    """A tool call of a webhook.

    Args:
        name: the tool's name.
        arguments: as the platform sent them: JSON text or an object.
        output: the tool's answer as JSON; "" if it failed.
        took_ms: until the tool answered.
    """
    text = arguments if isinstance(arguments, str) else msgspec.json.encode(arguments).decode()
    return ToolUse(name=name, arguments=text, output=output, code=code_of(output), took_ms=took_ms)


class WebhookExchange(msgspec.Struct, frozen=True, kw_only=True):
    """One webhook request and its answer.

    Attributes:
        began_s: Unix time at which the request arrived.
        took_ms: until the answer was ready.
        correlation_id: of the log lines and the answer's header.
        call_id: the platform's id of the call, or "".
        source: the platform (`vapi`, `rest`, …).
        request: the request body.
        status: the HTTP status of the answer.
        answer: the response body.
        tool_calls: tool calls of the request, each made by `tool_use`; None: read them from the bodies.
        parts_ms: duration of parts (`tool`, `queue`, …); the remaining time counts as `webhook`.
        channel: `rest` for the server's own routes.
        route: the path of the request.
    """

    began_s: float
    took_ms: float
    correlation_id: str
    call_id: str
    source: str
    request: bytes
    status: int
    answer: bytes
    tool_calls: Sequence[ToolUse] | None = None
    parts_ms: Mapping[str, float] | None = None
    channel: Channel = "webhook"
    route: str = ""


def record_webhook(recorder: InteractionRecorder, exchange: WebhookExchange) -> None:
    """Record one request. Never blocks and never raises. Secrets are removed before it is written."""
    parts = dict(exchange.parts_ms or {})
    parts["webhook"] = exchange.took_ms - sum(parts.values())
    asked, answered = _body(exchange.request), _body(exchange.answer)
    uses = uses_of(asked, answered) if exchange.tool_calls is None else exchange.tool_calls
    interaction = Interaction(
        timestamp=iso_time(exchange.began_s),
        began_s=exchange.began_s,
        correlation_id=exchange.correlation_id,
        call_id=exchange.call_id,
        channel=exchange.channel,
        software=__version__,
        source=exchange.source,
        has_words=True,
        tool_calls=tuple(uses),
        waits=(Wait(total_ms=exchange.took_ms, parts_ms=parts),),
        status=exchange.status,
        route=exchange.route,
        request=asked,
        answer=answered,
    )
    recorder.put(interaction)


def uses_of(request: Any, answer: Any) -> list[ToolUse]:
    """The tool calls whose results are in the answer's body; [] if there are none."""
    if not isinstance(answer, dict):
        return []
    if isinstance(answer.get("code"), str):
        # A 422 for arguments that the tool refused has the tool's outcome beside the error.
        outcome = {name: value for name, value in answer.items() if name not in ("detail", "error")}
        return [tool_use("", request, msgspec.json.encode(outcome).decode())]
    results = answer.get("results")
    if not isinstance(results, list):
        result = answer.get("result")
        return [tool_use(*_call(request, None), result)] if isinstance(result, str) else []
    uses = []
    for each in results:
        if isinstance(each, dict):
            name, arguments = _call(request, each.get("toolCallId"))
            uses.append(tool_use(str(each.get("name") or name), arguments, str(each.get("result", ""))))
    return uses


def _call(request: Any, call_id: object) -> tuple[str, object]:
    """Name and arguments of the call with this id (None: the only one), at any depth; ("", {}) if it is not found."""
    waiting = [request]
    while waiting:
        value = waiting.pop(0)
        if isinstance(value, list):
            waiting += value
        if not isinstance(value, dict):
            continue
        if _is_call(value, call_id):
            function = value.get("function") or value.get("functionCall") or value
            for place in (function, value):
                for key in ("arguments", "parameters"):
                    if isinstance(place, dict) and place.get(key) is not None:
                        name = function.get("name") if isinstance(function, dict) else None
                        return str(name or value.get("name") or ""), place[key]
        waiting += value.values()
    return "", {}


def _is_call(value: dict[str, Any], call_id: object) -> bool:
    if call_id is None:
        return "functionCall" in value
    return call_id in (value.get("id"), value.get("toolCallId")) and any(
        place.get(key) is not None
        for place in (value.get("function"), value)
        if isinstance(place, dict)
        for key in ("arguments", "parameters")
    )


def _body(body: bytes) -> Any:
    """The body's JSON; only its length if it is not JSON in UTF-8 or is too long. A byte order mark is left out."""
    if len(body) <= MOST_BYTES:
        try:
            return msgspec.json.decode(body.removeprefix(codecs.BOM_UTF8))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            pass
    return {"bytes": len(body)}
