"""A tool's definition in the form of the engine, and as a REST route."""

from typing import Any

import msgspec

from agentvoicebox.engine.inputs import ServerTool
from agentvoicebox.tools.definition import Definition


class RestRoute(msgspec.Struct, frozen=True):
    """The REST route of a tool.

    Attributes:
        operation: parts of an OpenAPI 3.1 operation: id, summary and body.
        answers: its answers, by status.
    """

    method: str
    path: str
    operation: dict[str, Any]
    answers: dict[int | str, dict[str, Any]]


def to_engine(tool: Definition) -> ServerTool:
    """The definition for the engine."""
    return ServerTool(tool.name, tool.description, tool.parameters, is_read_only=tool.is_read_only)


def to_rest(tool: Definition) -> RestRoute:
    """`POST /v1/tools/<name>`: the body is the arguments, the answer is the outcome."""
    outcome = {
        "type": "object",
        "required": ["status", "code", "speech", "data", "output"],
        "properties": {
            "status": {"type": "string", "description": "In one word, such as `success`, `error`, `invalid`."},
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
    }
    answers: dict[int | str, dict[str, Any]] = {
        200: {"description": "The outcome.", "content": {"application/json": {"schema": outcome}}}
    }
    return RestRoute("POST", f"/v1/tools/{tool.name}", operation, answers)
