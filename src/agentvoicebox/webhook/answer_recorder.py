"""Passes answered requests to the recorder of interactions: channel, duration, and both bodies.

Records each answer to an authenticated sender that expects one, including a 422. Notices (transcripts, status updates) and
requests without a valid credential are not recorded, so the disk can't be filled without a credential.
"""

import time
from collections.abc import Mapping
from typing import Any, Literal

from fastapi import Request

from agentvoicebox.clock import Clock
from agentvoicebox.interactions.recorder import InteractionRecorder
from agentvoicebox.interactions.webhooks import MOST_BYTES, WebhookExchange, record_webhook, tool_use
from agentvoicebox.telemetry.logs import get_logger
from agentvoicebox.webhook.render import as_json

log = get_logger(__name__)


class AnswerRecorder:
    """Records the answers of one port.

    Args:
        recorder: None: nothing is recorded.
        clock: for the time of requests.
    """

    def __init__(self, recorder: InteractionRecorder | None, clock: Clock) -> None:
        self._recorder = recorder
        self._clock = clock

    def record(
        self,
        request: Request,
        body: bytes,
        status: int,
        answer: bytes,
        *,
        channel: Literal["webhook", "rest"],
        call_id: str = "",
        tool: str = "",
        arguments: dict[str, Any] | None = None,
        outcome: Mapping[str, Any] | None = None,
    ) -> None:
        """Record one answer. Never raises, and does not wait for the disk.

        Args:
            request: with the state that `correlation` has set.
            body: raw bytes of the request.
            status: HTTP status.
            answer: body of the answer.
            channel: `webhook` for Vapi.
            call_id: the platform's id of the call, or "".
            tool: the tool that was run, if the answer is one outcome; otherwise tool and arguments are read from the two bodies.
            arguments: of that tool.
            outcome: of that tool, where the answer is more than it: a 422 for arguments that the tool refused.
        """
        if self._recorder is None:
            return
        try:
            exchange = self._exchange(request, body, status, answer, channel, call_id, tool, arguments, outcome)
            record_webhook(self._recorder, exchange)
        except Exception as error:  # a bug, or a body that nothing can read: the answer goes out all the same
            self._recorder.failed += 1
            log.error("a request was not recorded", error=type(error).__name__)

    def _exchange(
        self,
        request: Request,
        body: bytes,
        status: int,
        answer: bytes,
        channel: Literal["webhook", "rest"],
        call_id: str,
        tool: str,
        arguments: dict[str, Any] | None,
        outcome: Mapping[str, Any] | None,
    ) -> WebhookExchange:
        # As text: with half of a surrogate pair in it, it is not valid JSON for other readers.
        said = answer if outcome is None else as_json(outcome)
        uses = None if arguments is None else [tool_use(tool, as_json(arguments).decode(), said.decode())]
        took_s = time.perf_counter() - request.state.began_s
        return WebhookExchange(
            began_s=self._clock.wall_s() - took_s,
            took_ms=round(took_s * 1000, 3),
            correlation_id=request.state.correlation_id,
            call_id=call_id,
            source="vapi" if channel == "webhook" else "rest",
            request=body,
            status=status,
            answer=answer,
            tool_calls=uses if len(body) <= MOST_BYTES else None,
            channel=channel,
            route=request.url.path,
        )
