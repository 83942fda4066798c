"""Tool calls as servers stream them: numbered, by id, or neither; in pieces, whole, or repeated."""

import json

from tests.kit.odd_stream import BOTH, IN_OSLO, IN_ROME, MIXED, ONE, OSLO, OddStream, said, tc, together

CALLS = [
    OddStream(
        "one index for all", [tc(0, "c1", "get_weather", IN_OSLO), tc(0, "c2", "get_weather", IN_ROME)], calls=BOTH
    ),
    OddStream("no index", [tc(None, "c1", "get_weather", IN_OSLO), tc(None, "c2", "get_time", "{}")], calls=MIXED),
    OddStream(
        "no index, no id", [tc(None, None, "get_weather", IN_OSLO), tc(None, None, "get_time", "{}")], calls=MIXED
    ),
    OddStream(
        "one index and one id for all",
        [tc(0, "c", "get_weather", IN_OSLO), tc(0, "c", "get_weather", IN_ROME)],
        calls=BOTH,
    ),
    OddStream(
        "interleaved",
        [
            tc(0, "a", "get_weather", ""),
            tc(1, "b", "get_time", ""),
            tc(0, None, None, '{"city":'),
            tc(1, None, None, "{}"),
            tc(0, None, None, '"Oslo"}'),
        ],
        calls=MIXED,
    ),
    OddStream(
        "interleaved by id",
        [
            tc(None, "a", "get_weather", ""),
            tc(None, "b", "get_weather", ""),
            tc(None, "a", None, '{"city":'),
            tc(None, "b", None, '{"city":"Rome"}'),
            tc(None, "a", None, '"Oslo"}'),
        ],
        calls=BOTH,
    ),
    OddStream(
        "two pieces in a chunk",
        [
            together(tc(0, "a", "get_weather", '{"city":'), tc(1, "b", "get_weather", '{"city":')),
            together(tc(0, None, None, '"Oslo"}'), tc(1, None, None, '"Rome"}')),
        ],
        calls=BOTH,
    ),
    OddStream(
        "two pieces in a chunk, no index",
        [
            together(tc(None, "a", "get_weather", '{"city":'), tc(None, "b", "get_weather", '{"city":')),
            together(tc(None, None, None, '"Oslo"}'), tc(None, None, None, '"Rome"}')),
        ],
        calls=BOTH,
    ),
    OddStream(
        "a new id for each piece",
        [tc(0, "c1", "get_weather", ""), tc(0, "c2", None, '{"city":'), tc(0, "c3", None, '"Oslo"}')],
        calls=ONE,
    ),
    OddStream(
        "a new id and the name in each piece",
        [tc(0, "c1", "get_weather", ""), tc(0, "c2", "get_weather", '{"city":'), tc(0, "c3", "get_weather", '"Oslo"}')],
        calls=ONE,
    ),
    OddStream(
        "the name in each piece",
        [tc(0, "c", "get_weather", '{"city":'), tc(0, "c", "get_weather", '"Oslo"}')],
        calls=ONE,
    ),
    OddStream(
        "an empty name in each piece", [tc(0, "c", "get_weather", '{"city":'), tc(0, "", "", '"Oslo"}')], calls=ONE
    ),
    OddStream(
        "the name after the arguments", [tc(0, "c", None, '{"city":'), tc(0, "c", "get_weather", '"Oslo"}')], calls=ONE
    ),
    OddStream(
        "the whole call once more",
        [
            tc(0, "c", "get_weather", '{"city":'),
            tc(0, None, None, '"Oslo"}'),
            tc(0, "c", "get_weather", '{"city":"Oslo"}'),
        ],
        calls=ONE,
    ),
    OddStream(
        "the whole arguments once more",
        [tc(0, "c", "get_weather", '{"city":'), tc(0, None, None, '"Oslo"}'), tc(0, None, None, '{"city":"Oslo"}')],
        calls=ONE,
    ),
    OddStream("no arguments", [tc(0, "c", "get_time", "")], calls=[("get_time", {})]),
    OddStream("arguments that are absent", [tc(0, "c", "get_time", None)], calls=[("get_time", {})]),
    OddStream(
        "arguments that are null",
        [{"tool_calls": [{"index": 0, "id": "c", "function": {"name": "get_time", "arguments": None}}]}],
        calls=[("get_time", {})],
    ),
    OddStream(
        "arguments that are the word null",
        [tc(0, "c", "get_time", "nu"), tc(0, None, None, "ll")],
        calls=[("get_time", {})],
    ),
    OddStream("arguments as an object", [tc(0, "c", "get_weather", OSLO)], calls=ONE),
    OddStream("arguments as JSON in JSON", [tc(0, "c", "get_weather", json.dumps(IN_OSLO))], calls=ONE),
    OddStream(
        "blanks around the arguments",
        [tc(0, "c", "get_weather", "\n "), tc(0, None, None, IN_OSLO + "\n\n")],
        calls=ONE,
    ),
    OddStream(
        "halves of a character in arguments",
        [tc(0, "c", "get_weather", '{"city":"\ud83d'), tc(0, None, None, '\ude00"}')],
        calls=[("get_weather", {"city": "😀"})],
    ),
    OddStream(
        "the function without a `function`",
        [{"tool_calls": [{"index": 0, "id": "c", "name": "get_weather", "arguments": IN_OSLO}]}],
        calls=ONE,
    ),
    OddStream("calls as an object", [{"tool_calls": tc(0, "c", "get_weather", IN_OSLO)["tool_calls"][0]}], calls=ONE),
    OddStream(
        "the older function_call",
        [{"function_call": {"name": "get_weather", "arguments": ""}}, {"function_call": {"arguments": IN_OSLO}}],
        calls=ONE,
        finish="function_call",
    ),
    OddStream("calls in a message", [tc(0, "c", "get_weather", IN_OSLO)], calls=ONE, field="message"),
    OddStream("a call that ends with stop", [tc(0, "c", "get_weather", IN_OSLO)], calls=ONE, finish="stop"),
    OddStream(
        "words and a call", [*said("Let me look."), tc(0, "c", "get_weather", IN_OSLO)], text="Let me look.", calls=ONE
    ),
    OddStream(
        "half a call, cut by its length",
        [tc(0, "c", "get_weather", '{"city": "Os')],
        calls=[("get_weather", '{"city": "Os')],
        finish="length",
        reason="length",
    ),
    OddStream(
        "half a call that ends with stop",
        [tc(0, "c", "get_weather", '{"city": "Os')],
        calls=[("get_weather", '{"city": "Os')],
        finish="stop",
        reason="stop",
    ),
    OddStream(
        "half a call that ends as a call",
        [tc(0, "c", "get_weather", '{"city": "Os')],
        calls=[("get_weather", '{"city": "Os')],
        reason="stop",
    ),
    OddStream("a name that is not offered", [tc(0, "c", "fetch_weather", "{}")], calls=[("fetch_weather", {})]),
]
