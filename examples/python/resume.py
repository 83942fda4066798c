"""Lose the connection in the middle of an answer, and get the rest of it.

This program breaks its own line after the first words. docs/resume.md has the whole recipe, with audio.

pip install websockets
agentvoicebox serve                               # elsewhere
python resume.py "Where is parcel PKG004?"
"""

import asyncio
import json
import os
import sys
from typing import Any
from urllib.parse import urlencode

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed


class Caller:
    """What must be kept to go on: the session's id, and the last event."""

    def __init__(self) -> None:
        self.session_id = self.last_event_id = ""
        self.is_answered = self.was_broken = False

    def url(self) -> str:
        """A new session's address, or that of the session to resume."""
        known = {"session_id": self.session_id, "last_event_id": self.last_event_id}
        query = known if self.session_id else {"model": os.environ.get("AVB_MODEL", "delivery")}
        base = os.environ.get("AVB_URL", "http://127.0.0.1:8000/v1").replace("http", "ws", 1)
        return f"{base}/realtime?{urlencode({'resume': '1', **query})}"

    def take(self, event: dict[str, Any]) -> bool:
        """Print the answer; whether this line is to break now, which happens once."""
        if not event["type"].startswith("agentvoicebox."):
            self.last_event_id = event["event_id"]
        if event["type"] == "session.created":
            self.session_id = event["session"]["id"]
        elif event["type"] == "agentvoicebox.resumed":
            print(f"[resumed, nothing lost: {event['is_complete']}]")
        elif event["type"] == "response.output_text.delta":
            print(event["delta"], flush=True)
            was_broken, self.was_broken = self.was_broken, True
            return not was_broken
        elif event["type"] == "response.done":
            self.is_answered = True
        elif event["type"] == "error":
            sys.exit(event["error"]["message"])
        return False


async def main(question: str) -> None:
    """One question, two connections."""
    caller, headers = Caller(), {"Authorization": f"Bearer {os.environ.get('AVB_KEY', 'none')}"}
    while not caller.is_answered:
        is_new = not caller.session_id
        async with connect(caller.url(), additional_headers=headers) as connection:
            if is_new:
                text = {"type": "input_text", "text": question}
                item = {"type": "message", "role": "user", "content": [text]}
                for event in (
                    {"type": "session.update", "session": {"type": "realtime", "output_modalities": ["text"]}},
                    {"type": "conversation.item.create", "item": item},
                    {"type": "response.create"},
                ):
                    await connection.send(json.dumps(event))
            try:
                while not caller.is_answered:
                    if caller.take(json.loads(await connection.recv())):
                        print("[the line breaks]")
                        connection.transport.abort()
                        break  # what has come since then is lost
            except ConnectionClosed:
                await asyncio.sleep(0.2)  # docs/resume.md: try again for about 20 s


asyncio.run(main(*sys.argv[1:]))
