"""Answers of servers that stream otherwise than OpenAI's, each a row with what it means.

Every row is played by `chat_server` (`scripts`), for an agent with the tools `get_weather` and `get_time`, which a client or
the server may own. `script` gives the pieces of the stream; `cut` gives the same stream with its texts cut differently.
"""

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

from tests.kit.chat_server import DONE, chunk

from agentvoicebox.engine.jobs import ToolSpec

WEATHER = ToolSpec("get_weather", "The weather.", {"type": "object", "properties": {"city": {"type": "string"}}})
TIME = ToolSpec("get_time", "The time.")
TOOLS = (WEATHER, TIME)

Delta = dict[str, Any]
OSLO, ROME = {"city": "Oslo"}, {"city": "Rome"}


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
MIXED = (("get_weather", OSLO), ("get_time", {}))
ONE = (("get_weather", OSLO),)
HALVES = ("Hi \ud83d", "\ude00 there")

CALLS = [
    OddStream("one index for all", [tc(0, "c1", "get_weather", json.dumps(OSLO)), tc(0, "c2", "get_weather", json.dumps(ROME))], calls=BOTH),
    OddStream("no index", [tc(None, "c1", "get_weather", json.dumps(OSLO)), tc(None, "c2", "get_time", "{}")], calls=MIXED),
    OddStream("no index, no id", [tc(None, None, "get_weather", json.dumps(OSLO)), tc(None, None, "get_time", "{}")], calls=MIXED),
    OddStream("one index and one id for all", [tc(0, "c", "get_weather", json.dumps(OSLO)), tc(0, "c", "get_weather", json.dumps(ROME))], calls=BOTH),
    OddStream("interleaved", [tc(0, "a", "get_weather", ""), tc(1, "b", "get_time", ""), tc(0, None, None, '{"city":'), tc(1, None, None, "{}"),
              tc(0, None, None, '"Oslo"}')], calls=MIXED),
    OddStream("interleaved by id", [tc(None, "a", "get_weather", ""), tc(None, "b", "get_weather", ""), tc(None, "a", None, '{"city":'),
              tc(None, "b", None, '{"city":"Rome"}'), tc(None, "a", None, '"Oslo"}')], calls=BOTH),
    OddStream("two pieces in a chunk", [together(tc(0, "a", "get_weather", '{"city":'), tc(1, "b", "get_weather", '{"city":')),
              together(tc(0, None, None, '"Oslo"}'), tc(1, None, None, '"Rome"}'))], calls=BOTH),
    OddStream("two pieces in a chunk, no index", [together(tc(None, "a", "get_weather", '{"city":'), tc(None, "b", "get_weather", '{"city":')),
              together(tc(None, None, None, '"Oslo"}'), tc(None, None, None, '"Rome"}'))], calls=BOTH),
    OddStream("a new id for each piece", [tc(0, "c1", "get_weather", ""), tc(0, "c2", None, '{"city":'), tc(0, "c3", None, '"Oslo"}')], calls=ONE),
    OddStream("a new id and the name in each piece", [tc(0, "c1", "get_weather", ""), tc(0, "c2", "get_weather", '{"city":'),
              tc(0, "c3", "get_weather", '"Oslo"}')], calls=ONE),
    OddStream("the name in each piece", [tc(0, "c", "get_weather", '{"city":'), tc(0, "c", "get_weather", '"Oslo"}')], calls=ONE),
    OddStream("an empty name in each piece", [tc(0, "c", "get_weather", '{"city":'), tc(0, "", "", '"Oslo"}')], calls=ONE),
    OddStream("the name after the arguments", [tc(0, "c", None, '{"city":'), tc(0, "c", "get_weather", '"Oslo"}')], calls=ONE),
    OddStream("the whole call once more", [tc(0, "c", "get_weather", '{"city":'), tc(0, None, None, '"Oslo"}'),
              tc(0, "c", "get_weather", '{"city":"Oslo"}')], calls=ONE),
    OddStream("the whole arguments once more", [tc(0, "c", "get_weather", '{"city":'), tc(0, None, None, '"Oslo"}'),
              tc(0, None, None, '{"city":"Oslo"}')], calls=ONE),
    OddStream("no arguments", [tc(0, "c", "get_time", "")], calls=[("get_time", {})]),
    OddStream("arguments that are absent", [tc(0, "c", "get_time", None)], calls=[("get_time", {})]),
    OddStream("arguments that are null", [{"tool_calls": [{"index": 0, "id": "c", "function": {"name": "get_time", "arguments": None}}]}],
              calls=[("get_time", {})]),
    OddStream("arguments that are the word null", [tc(0, "c", "get_time", "nu"), tc(0, None, None, "ll")], calls=[("get_time", {})]),
    OddStream("arguments as an object", [tc(0, "c", "get_weather", OSLO)], calls=ONE),
    OddStream("arguments as JSON in JSON", [tc(0, "c", "get_weather", json.dumps(json.dumps(OSLO)))], calls=ONE),
    OddStream("blanks around the arguments", [tc(0, "c", "get_weather", "\n "), tc(0, None, None, json.dumps(OSLO) + "\n\n")], calls=ONE),
    OddStream("halves of a character in arguments", [tc(0, "c", "get_weather", '{"city":"\ud83d'), tc(0, None, None, '\ude00"}')],
              calls=[("get_weather", {"city": "😀"})]),
    OddStream("the function without a `function`", [{"tool_calls": [{"index": 0, "id": "c", "name": "get_weather", "arguments": json.dumps(OSLO)}]}],
              calls=ONE),
    OddStream("calls as an object", [{"tool_calls": tc(0, "c", "get_weather", json.dumps(OSLO))["tool_calls"][0]}], calls=ONE),
    OddStream("the older function_call", [{"function_call": {"name": "get_weather", "arguments": ""}}, {"function_call": {"arguments": json.dumps(OSLO)}}],
              calls=ONE, finish="function_call"),
    OddStream("calls in a message", [tc(0, "c", "get_weather", json.dumps(OSLO))], calls=ONE, field="message"),
    OddStream("a call that ends with stop", [tc(0, "c", "get_weather", json.dumps(OSLO))], calls=ONE, finish="stop"),
    OddStream("words and a call", [*said("Let me look."), tc(0, "c", "get_weather", json.dumps(OSLO))], text="Let me look.", calls=ONE),
    OddStream("half a call, cut by its length", [tc(0, "c", "get_weather", '{"city": "Os')], calls=[("get_weather", '{"city": "Os')],
              finish="length", reason="length"),
    OddStream("half a call that ends with stop", [tc(0, "c", "get_weather", '{"city": "Os')], calls=[("get_weather", '{"city": "Os')],
              finish="stop", reason="stop"),
    OddStream("half a call that ends as a call", [tc(0, "c", "get_weather", '{"city": "Os')], calls=[("get_weather", '{"city": "Os')],
              reason="stop"),
    OddStream("a name that is not offered", [tc(0, "c", "fetch_weather", "{}")], calls=[("fetch_weather", {})]),
]  # fmt: skip

WRITTEN_CALLS = [
    OddStream("tool_call tags", said('<tool_call>\n{"name": "get_weather", "argu', 'ments": {"city": "Oslo"}}\n</tool_', "call>"), calls=ONE, finish="stop"),
    OddStream("tool_call tags behind words", said("One moment. <tool", '_call>{"name":"get_time","arguments":{}}</tool_call>'), "One moment.",
              [("get_time", {})], "stop"),
    OddStream("two tool_call tags", said('<tool_call>{"name":"get_weather","arguments":{"city":"Oslo"}}</tool_call>\n'
              '<tool_call>{"name":"get_weather","arguments":{"city":"Rome"}}</tool_call>'), calls=BOTH, finish="stop"),
    OddStream("an open tool_call tag", said('<tool_call>{"name":"get_weather","arguments":{"city":"Oslo"}}'), calls=ONE, finish="stop"),
    OddStream("TOOL_CALLS with a list", said('[TOOL_', 'CALLS][{"name": "get_weather", "arguments": {"city": "Oslo"}}]'), calls=ONE, finish="stop"),
    OddStream("TOOL_CALLS with a name", said('[TOOL_CALLS]get_weather{"city": "Oslo"}'), calls=ONE, finish="stop"),
    OddStream("TOOL_CALLS with a name and ARGS", said('[TOOL_CALLS]get_weather[ARGS]{"city": "Oslo"}'), calls=ONE, finish="stop"),
    OddStream("a function tag", said("<function=get_", 'weather>{"city": "Oslo"}</function>'), calls=ONE, finish="stop"),
    OddStream("a function tag with parameters", said("<tool_call>\n<function=get_weather>\n<parameter=city>\nOslo\n</parameter>\n</function>\n</tool_call>"),
              calls=ONE, finish="stop"),
    OddStream("keys and values in tags", said("<tool_call>get_weather\n<arg_key>city</arg_key>\n<arg_value>Oslo</arg_value>\n</tool_call>"),
              calls=ONE, finish="stop"),
    OddStream("a bare object", said('{"name": "get_wea', 'ther", "parameters": {"city": "Oslo"}}'), calls=ONE, finish="stop"),
    OddStream("a bare object behind words", said('Sure. {"name": "get_weather", "arguments": {"city": "Oslo"}}'), "Sure.", ONE, "stop"),
    OddStream("a bare list", said('[{"name": "get_weather", "arguments": {"city": "Oslo"}}]'), calls=ONE, finish="stop"),
    OddStream("an object in a fence", said('``', '`json\n{"name": "get_weather", "arguments": {"city": "Oslo"}}\n``', "`"), calls=ONE, finish="stop"),
    OddStream("an object with a function", said('{"type": "function", "function": {"name": "get_weather", "arguments": "{\\"city\\": \\"Oslo\\"}"}}'),
              calls=ONE, finish="stop"),
    OddStream("a python tag", said('<|python_tag|>{"name": "get_weather", "parameters": {"city": "Oslo"}}'), calls=ONE, finish="stop"),
    OddStream("written and real", [*said('<tool_call>{"name":"get_weather","arguments":{"city":"Oslo"}}</tool_call>'),
              tc(0, "c", "get_weather", json.dumps(OSLO))], calls=ONE),
    OddStream("an unknown tool in tags", said('Hello. <tool_call>{"name": "book_table", "arguments": {}}</tool_call>'), "Hello.", finish="stop", reason="stop"),
    OddStream("broken JSON in tags", said('Hello. <tool_call>{"name": "get_weather", "arg</tool_call>'), "Hello.", finish="stop", reason="stop"),
    OddStream("an object that is no call", said('{"answer": 42}'), '{"answer": 42}', finish="stop", reason="stop"),
    OddStream("a bracket at the beginning", said("[sighs] Well", ", no."), "[sighs] Well, no.", finish="stop", reason="stop"),
]  # fmt: skip

TEXTS = [
    OddStream("halves of a character", said(*HALVES), "Hi 😀 there"),
    OddStream("a half alone", said("Hi \ud83d", " there"), "Hi \ufffd there"),
    OddStream("a half at the end", said("Hi \ud83d"), "Hi \ufffd"),
    OddStream("a second half alone", said("Hi \ude00 there"), "Hi \ufffd there"),
    OddStream("content as parts", [{"content": [{"type": "text", "text": "Hi "}, {"type": "text", "text": "there"}]}], "Hi there"),
    OddStream("content as an object", [{"content": {"type": "text", "text": "Hi there"}}], "Hi there"),
    OddStream("content as a part with a thought", [{"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "Hmm."}]}]},
              {"content": "Hi there"}], "Hi there"),
    OddStream("a message", said("Hi ", "there"), "Hi there", field="message"),
    OddStream("a refusal", [{"content": None, "refusal": "I can't help with that."}], "I can't help with that."),
    OddStream("chunks without anything", [{}, {"content": None}, {"content": ""}, *said("Hi there"), {"tool_calls": None}, {"tool_calls": []}], "Hi there"),
    OddStream("values of other types", [{"content": 7, "tool_calls": "x", "function_call": [], "reasoning": 0}, *said("Hi there")], "Hi there"),
    OddStream("control words", said("<|im_start|>assistant", "Hi there<|im_", "end|>"), "Hi there"),
    OddStream("ends with eos", said("Hi there"), "Hi there", finish="eos"),
    OddStream("ends with end_turn", said("Hi there"), "Hi there", finish="end_turn"),
    OddStream("ends as calls without any", said("Hi there"), "Hi there", finish="tool_calls"),
    OddStream("ends with max_tokens", said("Hi there"), "Hi there", finish="max_tokens", reason="length"),
    OddStream("ends with MAX_TOKENS", said("Hi there"), "Hi there", finish="MAX_TOKENS", reason="length"),
    OddStream("ends with safety", said("Hi there"), "Hi there", finish="SAFETY", reason="content_filter"),
]  # fmt: skip
TEXTS = [row._replace(reason="stop") if row.reason == "tool_calls" else row for row in TEXTS]
TEXTS = [row._replace(finish="stop") if row.finish == "tool_calls" and "ends" not in row.name else row for row in TEXTS]

_THOUGHT = "\nThe caller says hello. I should greet them.\n"
THOUGHTS = [
    OddStream(f"{opening} {closing}", said(opening, _THOUGHT, closing, "\n\n", "Hello there."), "Hello there.", finish="stop", reason="stop")
    for opening, closing in (("<think>", "</think>"), ("<thinking>", "</thinking>"), ("<thought>", "</thought>"), ("<reasoning>", "</reasoning>"),
                             ("[THINK]", "[/THINK]"), ("<THINK>", "</Think>"), ("◁think▷", "◁/think▷"),
                             ("<|channel|>analysis<|message|>", "<|end|><|start|>assistant<|channel|>final<|message|>"))
] + [
    OddStream("tags cut anywhere", said("<th", "ink", ">", "a < b", "</", "thi", "nk", ">Hello", " there."), "Hello there.", finish="stop", reason="stop"),
    OddStream("a thought in the middle", said("Hello <think>more", "</think>there."), "Hello there.", finish="stop", reason="stop"),
    OddStream("a thought before a call", [*said("<think>weather</think>"), tc(0, "c", "get_weather", json.dumps(OSLO))], calls=ONE),
    OddStream("a written call within a thought", said('<think><tool_call>{"name":"get_time"}</tool_call></think>Hello there.'), "Hello there.",
              finish="stop", reason="stop"),
    OddStream("reasoning_content", [{"reasoning_content": "Hm"}, {"reasoning_content": "m."}, *said("Hello there.")], "Hello there.",
              finish="stop", reason="stop"),
    OddStream("reasoning", [{"reasoning": "Hmm.", "content": ""}, *said("Hello there.")], "Hello there.", finish="stop", reason="stop"),
    OddStream("a sign that begins no tag", said("1 <", " 2 and <the", "n> 3"), "1 < 2 and <then> 3", finish="stop", reason="stop"),
]  # fmt: skip

EMPTY = [
    OddStream("nothing", [], finish="stop", is_empty=True),
    OddStream("blanks", said(" ", "\n\n"), finish="stop", is_empty=True),
    OddStream("only a thought", said("<think>", "Hmm."), finish="stop", is_empty=True),
    OddStream("only reasoning", [{"reasoning_content": "Hmm."}], finish="stop", is_empty=True),
    OddStream(
        "only a call to an unknown tool in tags",
        said('<tool_call>{"name":"book_table"}</tool_call>'),
        finish="stop",
        is_empty=True,
    ),
    OddStream("only control words", said("<|im_end|>"), finish="stop", is_empty=True),
    OddStream("calls without a name", [tc(0, "c", None, "{}")], is_empty=True),
]

ROWS = [*CALLS, *WRITTEN_CALLS, *TEXTS, *THOUGHTS]
"""All that say something."""
