"""One chunk of a streamed chat completion, as servers write it, in one shape.

Servers differ: a `message` instead of a `delta`, content as parts or as an object, arguments as an object, the older
`function_call`, thoughts in fields of several names. What is in no known shape is left out.
"""

import json
from typing import Any

import msgspec

_THOUGHTS = ("reasoning_content", "reasoning", "thinking", "thought")
_THOUGHT_PARTS = frozenset({"thinking", "reasoning", "thought"})


class CallPiece(msgspec.Struct, frozen=True):
    """A piece of a tool call.

    Attributes:
        index: the server's number of the call; None where it gives none.
        call_id, name: empty where not given.
        arguments: JSON in pieces.
    """

    index: int | None = None
    call_id: str = ""
    name: str = ""
    arguments: str = ""


class AnswerChunk(msgspec.Struct, frozen=True):
    """What a chunk says.

    Attributes:
        text: more of the answer.
        thinks: it has a part of a thought.
        calls: pieces of calls, in order.
        finish_reason: in the server's spelling; empty: the answer goes on.
        input_tokens, output_tokens: as the server counts them; 0: not given.
    """

    text: str = ""
    thinks: bool = False
    calls: tuple[CallPiece, ...] = ()
    finish_reason: str = ""
    input_tokens: int = 0
    output_tokens: int = 0


def read_chunk(data: object) -> AnswerChunk:
    """Read a chunk; an empty one where it says nothing that is known."""
    if not isinstance(data, dict):
        return AnswerChunk()
    usage = _usage(data.get("usage")) or _usage(_dict(data.get("x_groq")).get("usage")) or (0, 0)
    choice = next((each for each in _list(data.get("choices")) if _is_first(each)), None)
    if choice is None:
        return AnswerChunk(input_tokens=usage[0], output_tokens=usage[1])
    delta = _dict(choice.get("delta")) or _dict(choice.get("message"))
    text, thinks = _content(delta.get("content") if "content" in delta else choice.get("text"))
    return AnswerChunk(
        text=text + _text(delta.get("refusal")),
        thinks=thinks or any(delta.get(key) for key in _THOUGHTS),
        calls=tuple(_calls(delta)),
        finish_reason=_text(choice.get("finish_reason")),
        input_tokens=usage[0],
        output_tokens=usage[1],
    )


def _is_first(choice: object) -> bool:
    return isinstance(choice, dict) and choice.get("index") in (None, 0)


def _content(content: object) -> tuple[str, bool]:
    """Text of content in any form, and whether it also has a thought."""
    if isinstance(content, str):
        return content, False
    if isinstance(content, list):
        found = [_content(part) for part in content]
        return "".join(text for text, _ in found), any(thinks for _, thinks in found)
    part = _dict(content)
    if part.get("type") in _THOUGHT_PARTS:
        return "", True
    inner = part.get("text")
    return _text(_dict(inner).get("value") if isinstance(inner, dict) else inner), False


def _calls(delta: dict[str, Any]) -> list[CallPiece]:
    pieces = [_call(each) for each in _list(delta.get("tool_calls")) if isinstance(each, dict)]
    if isinstance(delta.get("function_call"), dict):
        pieces.append(_call({"function": delta["function_call"]}))
    return [piece for piece in pieces if piece.call_id or piece.name or piece.arguments]


def _call(call: dict[str, Any]) -> CallPiece:
    function = _dict(call.get("function")) or call
    arguments = function.get("arguments")
    index = call.get("index")
    return CallPiece(
        index=index if isinstance(index, int) and not isinstance(index, bool) else None,
        call_id=_text(call.get("id")),
        name=_text(function.get("name")),
        arguments=json.dumps(arguments) if isinstance(arguments, dict) else _text(arguments),
    )


def _usage(usage: object) -> tuple[int, int] | None:
    counts = _dict(usage)
    if not counts:
        return None
    return _count(counts.get("prompt_tokens")), _count(counts.get("completion_tokens"))


def _count(number: object) -> int:
    return max(0, int(number)) if isinstance(number, int | float) and number == number and abs(number) < 2**53 else 0


def _dict(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else [value] if isinstance(value, dict) else []


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
