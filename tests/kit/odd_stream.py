"""An answer of a server that streams otherwise than OpenAI's, with what it means.

`chat_server` plays it (`scripts`), for an agent with the tools `get_weather` and `get_time`; a client or the server owns them.
"""

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

from agentvoicebox.engine.jobs import ToolSpec
from tests.kit.chat_server import DONE, chunk

WEATHER = ToolSpec("get_weather", "The weather.", {"type": "object", "properties": {"city": {"type": "string"}}})
TIME = ToolSpec("get_time", "The time.")
TOOLS = (WEATHER, TIME)

Delta = dict[str, Any]
OSLO, ROME = {"city": "Oslo"}, {"city": "Rome"}
IN_OSLO, IN_ROME = json.dumps(OSLO), json.dumps(ROME)


class OddStream(NamedTuple):
    """One odd answer.

    Attributes:
        name: for the test's id.
        deltas: the deltas of its chunks.
        text: what is said, without blanks at its ends.
        calls: names and arguments of its calls; arguments of one that is cut off are text.
        finish: the server's finish reason.
        reason: ours.
        is_empty: there is nothing in it, so the model is asked again.
        field: where its deltas stand: `delta` or `message`.
    """

    name: str
    deltas: Sequence[Delta]
    text: str = ""
    calls: Sequence[tuple[str, Any]] = ()
    finish: Any = "tool_calls"
    reason: str = "tool_calls"
    is_empty: bool = False
    field: str = "delta"

    def script(self, deltas: Sequence[Delta] | None = None) -> list[str]:
        """The pieces of its stream."""
        chunks = [chunk(delta) for delta in self.deltas if deltas is None] or [chunk(delta) for delta in deltas or ()]
        if self.field != "delta":
            chunks = [each.replace('"delta":', f'"{self.field}":') for each in chunks]
        return [*chunks, chunk({}, self.finish), DONE]

    def cut(self, places: Sequence[int]) -> list[str]:
        """Its stream with plain texts cut at further places, as other servers would."""
        deltas: list[Delta] = []
        for number, delta in enumerate(self.deltas):
            text = delta.get("content")
            if isinstance(text, str) and len(text) > 1 and list(delta) == ["content"]:
                at = 1 + places[number % len(places)] % (len(text) - 1) if places else 1
                deltas += [{"content": text[:at]}, {"content": text[at:]}]
            else:
                deltas.append(delta)
        return self.script(deltas)


def tc(index: int | None, call_id: str | None, name: str | None, arguments: Any) -> Delta:
    """A piece of a tool call. What is None is absent."""
    function = {key: value for key, value in (("name", name), ("arguments", arguments)) if value is not None}
    call = {key: value for key, value in (("index", index), ("id", call_id)) if value is not None}
    return {"tool_calls": [call | {"type": "function", "function": function}]}


def together(*pieces: Delta) -> Delta:
    """Pieces of calls in one chunk."""
    return {"tool_calls": [call for piece in pieces for call in piece["tool_calls"]]}


def said(*texts: str) -> list[Delta]:
    """Text in pieces."""
    return [{"content": text} for text in texts]


BOTH = (("get_weather", OSLO), ("get_weather", ROME))
MIXED: Sequence[tuple[str, Any]] = (("get_weather", OSLO), ("get_time", {}))
ONE = (("get_weather", OSLO),)
