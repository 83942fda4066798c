"""A tool's definition in the form of each protocol: the engine, Vapi, REST."""

from typing import Any

import msgspec

from agentvoicebox.engine.inputs import ServerTool
from agentvoicebox.tools.definition import Definition

VAPI_TIMEOUTS_S = (1, 300)  # what Vapi allows
VAPI_SPARE_S = 2.0  # network time for request and answer


class RestRoute(msgspec.Struct, frozen=True):
    """The REST route of a tool.

    Attributes:
        operation: an OpenAPI 3.1 operation object.
    """

    method: str
    path: str
    operation: dict[str, Any]


def to_engine(tool: Definition) -> ServerTool:
    """The definition for the engine."""
    return ServerTool(tool.name, tool.description, tool.parameters, is_read_only=tool.is_read_only)


def to_vapi(tool: Definition, server_url: str) -> dict[str, Any]:
    """A Vapi tool that calls `server_url`. It has no `messages`: Vapi would speak a fixed message instead of the answer."""
    shortest, longest = VAPI_TIMEOUTS_S
    return {
        "type": "function",
        "async": False,
        "function": {"name": tool.name, "description": tool.description, "parameters": tool.parameters},
        "server": {
            "url": server_url,
            "timeoutSeconds": min(longest, max(shortest, round(tool.timeout_s + VAPI_SPARE_S))),
        },
    }


def to_rest(tool: Definition) -> RestRoute:
    """`POST /v1/tools/<name>`: the body is the arguments, the answer is the outcome."""
    outcome = {
        "type": "object",
        "required": ["code", "output"],
        "properties": {
            "code": {"type": "string", "description": "The outcome, for programs."},
            "output": {"type": "string", "description": "Text for a language model; one line."},
            "speech": {"type": "string", "description": "A sentence to say, or empty."},
            "data": {"type": "object", "description": "Facts."},
        },
    }
    operation = {
        "operationId": tool.name,
        "summary": tool.description,
        "requestBody": {"required": True, "content": {"application/json": {"schema": tool.parameters}}},
        "responses": {
            "200": {"description": "The outcome.", "content": {"application/json": {"schema": outcome}}},
            "422": {"description": "The arguments are invalid."},
        },
    }
    return RestRoute("POST", f"/v1/tools/{tool.name}", operation)
