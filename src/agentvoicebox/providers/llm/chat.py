"""Our conversation as an OpenAI chat that every server and chat template takes, whatever the session contains.

Templates refuse, each something else: a call without its answer (after an interruption), an answer without its call (a deleted
item), a system line that is not the first, two lines of one role in a row, a chat that does not begin or end with the user, ids
that are not nine letters. Here all of it is repaired, without inventing content. What few models need is learnt (`ChatShape`).
"""

import hashlib
import string
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
from msgspec import UNSET

from agentvoicebox.engine.conversation import NO_IMAGE
from agentvoicebox.engine.jobs import ChatMessage, ChatPart, Generate, ToolCall, ToolSpec
from agentvoicebox.engine.tool_calls import is_json_object

NO_RESULT = '{"error":"no result: the call was interrupted"}'
CALLER_SILENT = "(the caller is silent)"
CONTINUE_PROMPT = "Your last line was cut off in the middle. Go on exactly where it ends; repeat nothing of it."
INTERRUPTED = "…"  # the answer to a tool's result that the caller interrupted before its first word
ID_LENGTH = 9  # the only length that templates of Mistral take; others take any
_LETTERS = string.ascii_letters + string.digits


class ChatShape(msgspec.Struct, frozen=True):
    """What a model's template takes, where templates differ.

    Attributes:
        system: a system line; else instructions stand in the first line of the user.
        images: images; else a remark stands in their place.
        tool_lines: calls and results in lines of their own; else they become text.
        parallel_calls: several calls in one line.
        words_with_calls: words and calls in one line; else the words are left out.
    """

    system: bool = True
    images: bool = True
    tool_lines: bool = True
    parallel_calls: bool = True
    words_with_calls: bool = True


class _Line(msgspec.Struct):
    """One line of the chat while it is made: text and images in order, and calls."""

    role: str
    parts: list[str | dict[str, Any]] = []
    calls: tuple[ToolCall, ...] = ()
    call_id: str = ""


def chat_messages(request: Generate, shape: ChatShape | None = None) -> list[dict[str, Any]]:
    """The `messages` of a chat completion request: at most one system line, then user and assistant in turn, the user last.

    A call and its result may stand before each line of the assistant.
    """
    shape = shape or ChatShape()
    system, lines = _in_order(request, shape)
    lines = _alternating(lines, CONTINUE_PROMPT if request.is_continuation else CALLER_SILENT)
    if system and not shape.system:
        lines[0].parts.insert(0, f"{system}\n")
    chat = [{"role": "system", "content": system}] if system and shape.system else []
    return [*chat, *(_written(line, shape) for line in lines)]


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


def short_id(call_id: str) -> str:
    """An id of nine letters and digits, the same for the same call."""
    number = int.from_bytes(hashlib.sha256(call_id.encode(errors="replace")).digest())
    return "".join(_LETTERS[number // len(_LETTERS) ** place % len(_LETTERS)] for place in range(ID_LENGTH))


def _in_order(request: Generate, shape: ChatShape) -> tuple[str, list[_Line]]:
    """The system line, and the rest with each result behind its call, each call once."""
    results = {line.call_id: line.text for line in reversed(request.messages) if line.role == "tool" and line.call_id}
    calls = {call.call_id for line in request.messages for call in line.tool_calls}
    written: set[str] = set()
    system = [request.instructions] if request.instructions else []
    lines: list[_Line] = []
    for message in request.messages:
        match message.role:
            case "assistant":
                fresh = tuple(
                    {call.call_id: call for call in message.tool_calls if call.call_id not in written}.values()
                )
                written |= {call.call_id for call in fresh}
                lines += _assistant(message.text, fresh, results, shape)
            case "tool" if message.call_id in calls:
                pass  # said right after its call
            case "tool":
                lines.append(_Line("user", [f"(Result of an earlier tool call: {message.text})"]))
            case "system" if not lines:
                system += [message.text] if message.text else []
            case "system":
                lines += [_Line("user", [f"(Instruction: {message.text})"])] if message.text else []
            case _:
                parts = list(_parts(message, shape))
                lines += [_Line("user", parts)] if parts else []
    return "\n\n".join(system), lines


def _assistant(text: str, calls: tuple[ToolCall, ...], results: Mapping[str, str], shape: ChatShape) -> Iterator[_Line]:
    words: list[str | dict[str, Any]] = [text] if text else []
    if not calls:
        if words:
            yield _Line("assistant", words)
    elif not shape.tool_lines:
        asked = [f"(Called {call.name} with {_arguments(call)}.)" for call in calls]
        yield _Line("assistant", [*words, *asked])
        yield _Line("user", [f"(Result of {call.name}: {results.get(call.call_id, NO_RESULT)})" for call in calls])
    else:
        groups = [calls] if shape.parallel_calls else [(call,) for call in calls]
        for place, group in enumerate(groups):
            yield _Line("assistant", words if place == 0 and shape.words_with_calls else [], group)
            for call in group:
                yield _Line("tool", [results.get(call.call_id, NO_RESULT)], call_id=call.call_id)


def _alternating(lines: list[_Line], last_words: str) -> list[_Line]:
    """Neighbours of one role as one line; the user first and last, or a tool's result last."""
    made: list[_Line] = []
    for line in lines:
        before = made[-1] if made else None
        if before is None and line.role != "user":
            before = _Line("user", [CALLER_SILENT])
            made.append(before)
        if before is not None and before.role == "tool" and line.role == "user":
            made.append(_Line("assistant", [INTERRUPTED]))
        elif before is not None and before.role == line.role and line.role != "tool" and not before.calls:
            made[-1] = _Line(line.role, [*before.parts, *line.parts], line.calls)
            continue
        made.append(line)
    if not made or made[-1].role == "assistant":
        made.append(_Line("user", [last_words if made else CALLER_SILENT]))
    return made


def _written(line: _Line, shape: ChatShape) -> dict[str, Any]:
    separator = " " if line.role == "assistant" else "\n"
    parts: list[dict[str, Any]] = []
    for part in line.parts:
        text = part if isinstance(part, str) else None
        if text is not None and parts and parts[-1]["type"] == "text":
            parts[-1] = {"type": "text", "text": f"{parts[-1]['text']}{separator}{text}"}
        else:
            parts.append({"type": "text", "text": text} if text is not None else msgspec.to_builtins(part))
    is_plain = all(part["type"] == "text" for part in parts)
    content = (parts[0]["text"] if parts else "") if is_plain else parts
    if line.role == "tool":
        return {"role": "tool", "tool_call_id": short_id(line.call_id), "content": content}
    if not line.calls:
        return {"role": line.role, "content": content}
    written = [
        {
            "id": short_id(call.call_id),
            "type": "function",
            "function": {"name": call.name, "arguments": _arguments(call)},
        }
        for call in line.calls
    ]
    return {
        "role": "assistant",
        "content": content if shape.words_with_calls and content else None,
        "tool_calls": written,
    }


def _arguments(call: ToolCall) -> str:
    return call.arguments if is_json_object(call.arguments) else "{}"


def _parts(message: ChatMessage, shape: ChatShape) -> Iterator[str | dict[str, Any]]:
    """Text and images of a user's line, in their order."""
    parts = message.parts
    if parts is UNSET:
        text = (ChatPart(message.text),) if message.text else ()
        parts = (*text, *(ChatPart(image=place) for place in range(len(message.images))))
    for part in parts:
        if part.image is None:
            yield part.text
        elif part.image < len(message.images):
            yield _image(message.images[part.image], part.detail) if shape.images else NO_IMAGE


def _image(url: str, detail: str) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": url} | ({"detail": detail} if detail else {})}
