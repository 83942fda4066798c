"""Our conversation as an OpenAI chat: every call answered, every answer after its call, whatever the session contains.

Servers refuse a chat in which a tool call has no answer (after an interruption) or an answer no call (a deleted item);
here both are repaired, without inventing content.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from agentvoicebox.engine.jobs import ChatMessage, Generate, ToolSpec

NO_RESULT = '{"error":"no result: the call was interrupted"}'


def chat_messages(request: Generate) -> list[dict[str, Any]]:
    """The `messages` of a chat completion request."""
    results = {line.call_id: line.text for line in request.messages if line.role == "tool" and line.call_id}
    calls = {call.call_id for line in request.messages for call in line.tool_calls}
    chat: list[dict[str, Any]] = []
    if request.instructions:
        chat.append({"role": "system", "content": request.instructions})
    for line in request.messages:
        match line.role:
            case "assistant" if line.tool_calls:
                chat += _calls(line, results)
            case "tool" if line.call_id in calls:
                pass  # said right after its call
            case "tool":
                chat.append({"role": "system", "content": f"Result of an earlier tool call: {line.text}"})
            case "user" if line.images:
                chat.append({"role": "user", "content": _parts(line)})
            case role if line.text:
                chat.append({"role": role, "content": line.text})
    return chat


def chat_tools(tools: tuple[ToolSpec, ...]) -> list[dict[str, Any]]:
    """The `tools` of a chat completion request."""
    return [
        {
            "type": "function",
            "function": {
                "name": tool.name,
                "description": tool.description,
                "parameters": tool.parameters or {"type": "object", "properties": {}},
            },
        }
        for tool in tools
    ]


def chat_tool_choice(choice: str) -> str | dict[str, Any]:
    """The `tool_choice` of a chat completion request."""
    if choice.startswith("function:"):
        return {"type": "function", "function": {"name": choice.removeprefix("function:")}}
    return choice


def _calls(line: ChatMessage, results: Mapping[str, str]) -> list[dict[str, Any]]:
    written = [
        {
            "id": call.call_id,
            "type": "function",
            "function": {"name": call.name, "arguments": call.arguments if is_json_object(call.arguments) else "{}"},
        }
        for call in line.tool_calls
    ]
    answers = [
        {"role": "tool", "tool_call_id": call.call_id, "content": results.get(call.call_id, NO_RESULT)}
        for call in line.tool_calls
    ]
    return [{"role": "assistant", "content": line.text or None, "tool_calls": written}, *answers]


def _parts(line: ChatMessage) -> list[dict[str, Any]]:
    text = [{"type": "text", "text": line.text}] if line.text else []
    return [*text, *({"type": "image_url", "image_url": {"url": image}} for image in line.images)]


def is_json_object(text: str) -> bool:
    """Whether text is one whole JSON object."""
    try:
        return isinstance(msgspec.json.decode(text.encode()), dict)
    except (msgspec.DecodeError, RecursionError):
        return False
