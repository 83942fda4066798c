"""Passes answered requests to the recorder of interactions: channel, duration, and both bodies.

Records each answer to an authenticated sender that expects one, including a 422. Notices (transcripts, status updates) and
requests without a valid credential are not recorded, so the disk can't be filled without a credential.
"""

import time
from typing import Any, Literal

from fastapi import Request

from agentvoicebox.clock import Clock
from agentvoicebox.interactions.recorder import InteractionRecorder
from agentvoicebox.interactions.webhooks import MOST_BYTES, WebhookExchange, record_webhook, tool_use
from agentvoicebox.webhook.render import as_json


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
        """
        if self._recorder is None:
            return
        # As text: with half of a surrogate pair in it, it is not valid JSON for other readers.
        uses = None if arguments is None else [tool_use(tool, as_json(arguments).decode(), answer.decode())]
        took_s = time.perf_counter() - request.state.began_s
        exchange = WebhookExchange(
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
        )
        record_webhook(self._recorder, exchange)
