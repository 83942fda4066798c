"""Receives events, verifies their signatures, and drops duplicates: `python receiver.py whsec_…`.

Needs `pip install standardwebhooks`.
"""

import sys
from http.server import BaseHTTPRequestHandler, HTTPServer

from standardwebhooks import Webhook, WebhookVerificationError

webhook = Webhook(sys.argv[1])
seen = set()  # keep ids for as long as you can: in your database, beside what you do with the event


class Receiver(BaseHTTPRequestHandler):
    """Answers within ten seconds: 2xx takes an event, everything else has it sent again."""

    def do_POST(self):
        """Take one event."""
        body = self.rfile.read(int(self.headers["content-length"]))
        try:
            event = webhook.verify(body, dict(self.headers))
        except WebhookVerificationError:
            self.send_response(401)
        else:
            if event["id"] not in seen:
                seen.add(event["id"])
                print(event["type"], event["subject"], event["data"], flush=True)
            self.send_response(204)
        self.end_headers()

    def log_message(self, *_):
        """No line for each request."""


HTTPServer(("127.0.0.1", int(sys.argv[2]) if len(sys.argv) > 2 else 9000), Receiver).serve_forever()
