"""The tools that a telephone call offers to its agent: hanging up, and passing the caller to a person.

They are tools of the session's client, so a language model sees them beside the agent's own.
"""

from typing import Any, Literal

HANG_UP = "hang_up"
TRANSFER = "transfer_call"
Outcome = Literal["caller_left", "agent_left", "transferred", "no_session", "session_lost"]
OUTCOMES: dict[str, Outcome] = {HANG_UP: "agent_left", TRANSFER: "transferred"}
# What the model reads of its calls.
DONE, LEFT, NO_SUCH_TOOL = "done", "The caller interrupted, so the call goes on.", "There is no such tool."


def call_tools(*, has_transfer: bool) -> list[dict[str, Any]]:
    """Their definitions for `session.update`."""
    tools = [_tool(HANG_UP, "End the telephone call. Say goodbye first.")]
    if has_transfer:
        tools.append(_tool(TRANSFER, "Pass the caller to a person. Tell the caller first that you do."))
    return tools


def _tool(name: str, description: str) -> dict[str, Any]:
    parameters = {"type": "object", "properties": {}, "required": [], "additionalProperties": False}
    return {"type": "function", "name": name, "description": description, "parameters": parameters}
