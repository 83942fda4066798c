"""An answered request, handed to the recording: whose it was, how long it took, and both bodies.

Decides what counts as an interaction: somebody who may ask wanted an answer and got one, also a 422. Messages that want none
(transcripts, status updates) and senders who are refused are not kept, so nobody fills the disk without a credential.
"""

import time
from typing import Any, Literal

from fastapi import Request

from agentvoicebox.clock import Clock
from agentvoicebox.interactions.recording import Recording
from agentvoicebox.interactions.webhooks import MOST_BYTES, record_webhook, tool_use
from agentvoicebox.webhook.render import as_json


class Keeper:
    """Keeps what one port answers.

    Args:
        recording: None keeps nothing.
        clock: tells when a request came.
    """

    def __init__(self, recording: Recording | None, clock: Clock) -> None:
        self._recording = recording
        self._clock = clock

    def keep(
        self,
        request: Request,
        body: bytes,
        status: int,
        answer: bytes,
        *,
        door: Literal["webhook", "rest"],
        call_id: str = "",
        tool: str = "",
        arguments: dict[str, Any] | None = None,
    ) -> None:
        """One answer that has been made. Never raises; nothing waits for the disk.

        Args:
            request: as `correlation` has marked it.
            body: raw, as it came.
            status: of HTTP.
            answer: the body of the answer.
            door: `webhook` is Vapi's.
            call_id: the platform's id of the call, or "".
            tool: what was run, where the answer is one outcome; else this and `arguments` are read from the two bodies.
            arguments: that it was given.
        """
        if self._recording is None:
            return
        # As text, since half a surrogate pair in it is no JSON for others.
        uses = None if arguments is None else [tool_use(tool, as_json(arguments).decode(), answer.decode())]
        took_s = time.perf_counter() - request.state.began_s
        record_webhook(
            self._recording,
            began_s=self._clock.wall_s() - took_s,
            took_ms=round(took_s * 1000, 3),
            correlation_id=request.state.correlation_id,
            call_id=call_id,
            source="vapi" if door == "webhook" else "rest",
            request=body,
            status=status,
            answer=answer,
            tool_calls=uses if len(body) <= MOST_BYTES else None,
            door=door,
        )
