"""An answered request, handed to the recorder of interactions: its sender, its duration, and both bodies.

Decides what counts as an interaction: an admitted sender wanted an answer and got one, also a 422. Messages that want none
(transcripts, status updates) and refused senders are not kept, so the disk can't be filled without a credential.
"""

import time
from typing import Any, Literal

from fastapi import Request

from agentvoicebox.clock import Clock
from agentvoicebox.interactions.recorder import InteractionRecorder
from agentvoicebox.interactions.webhooks import MOST_BYTES, record_webhook, tool_use
from agentvoicebox.webhook.render import as_json


class AnswerRecorder:
    """Records the answers of one port.

    Args:
        recorder: None records nothing.
        clock: tells when a request came.
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
        """Record one answer. Never raises; nothing waits for the disk.

        Args:
            request: as `correlation` has marked it.
            body: raw, as it came.
            status: of HTTP.
            answer: the body of the answer.
            channel: `webhook` is Vapi's.
            call_id: the platform's id of the call, or "".
            tool: what was run, where the answer is one outcome; else this and `arguments` are read from the two bodies.
            arguments: that it was given.
        """
        if self._recorder is None:
            return
        # As text, since half a surrogate pair in it is no JSON for others.
        uses = None if arguments is None else [tool_use(tool, as_json(arguments).decode(), answer.decode())]
        took_s = time.perf_counter() - request.state.began_s
        record_webhook(
            self._recorder,
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
