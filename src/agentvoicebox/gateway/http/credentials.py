"""The credentials of the gateway's routes, and what a route that asks for one may answer, as OpenAPI describes both."""

from typing import Any

from agentvoicebox.http_server.described import refusals

KEYS: dict[str, dict[str, Any]] = {
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "description": "An API key. A server without configured keys takes requests of this machine without one.",
    },
    "api-key": {
        "type": "apiKey",
        "in": "header",
        "name": "api-key",
        "description": "The same key, in the header of Azure's clients.",
    },
}
LOCAL = refusals(403)  # of any route, from elsewhere than this machine, while there are no keys (`local_only`)
KEYED = refusals(401, 403, 429, 503)
