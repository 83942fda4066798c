"""Answer the tool calls of an agent over HTTP: verify that a call is really your server's, and answer it.

The agent is examples/agents/opening-hours.toml; it needs a language model that calls functions.

AVB_TOOL_SECRET=a-long-secret python webhook_in.py 9000
AVB_TOOL_SECRET=a-long-secret AVB_AGENTS_DIR=examples/agents AVB_LLM_BASE_URL=… agentvoicebox serve    # elsewhere
AVB_MODEL=opening-hours python text.py "When do you open on Sunday?"
"""

import hashlib
import hmac
import json
import os
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

HOURS = {"Sunday": "closed", "Saturday": "nine to noon"}
MOST_BYTES, WINDOW_S = 64 * 1024, 300


def is_genuine(body: bytes, header: str, secret: str, now_s: float) -> bool:
    """Whether `t=…,v1=…` is the HMAC-SHA256 of time and body, and fresh, so that nobody repeats an old call."""
    parts = dict(part.partition("=")[::2] for part in header.split(","))
    at, signature = parts.get("t", ""), parts.get("v1", "")
    right = hmac.new(secret.encode(), at.encode() + b"." + body, hashlib.sha256).hexdigest()
    return hmac.compare_digest(right.encode(), signature.encode()) and abs(now_s - int(at)) <= WINDOW_S


class ToolServer(BaseHTTPRequestHandler):
    """POST /hours."""

    def do_POST(self) -> None:
        """Verify first, then read."""
        size = int(self.headers.get("content-length") or 0)
        if not 0 < size <= MOST_BYTES:
            self.send_error(413)
            return
        body = self.rfile.read(size)
        shown = self.headers.get("x-agentvoicebox-signature", "")
        if not is_genuine(body, shown, os.environ["AVB_TOOL_SECRET"], time.time()):
            self.send_error(401)
            return
        day = json.loads(body)["arguments"]["day"]
        answer = json.dumps({"hours": HOURS.get(day, "nine to six")}).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)


ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), ToolServer).serve_forever()
