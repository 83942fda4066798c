"""Tool calls that a model writes into its text."""

from tests.kit.odd_stream import BOTH, IN_OSLO, ONE, OddStream, said, tc

WRITTEN_CALLS = [
    OddStream(
        "tool_call tags",
        said('<tool_call>\n{"name": "get_weather", "argu', 'ments": {"city": "Oslo"}}\n</tool_', "call>"),
        calls=ONE,
        finish="stop",
    ),
    OddStream(
        "tool_call tags behind words",
        said("One moment. <tool", '_call>{"name":"get_time","arguments":{}}</tool_call>'),
        "One moment.",
        [("get_time", {})],
        "stop",
    ),
    OddStream(
        "two tool_call tags",
        said(
            '<tool_call>{"name":"get_weather","arguments":{"city":"Oslo"}}</tool_call>\n'
            '<tool_call>{"name":"get_weather","arguments":{"city":"Rome"}}</tool_call>'
        ),
        calls=BOTH,
        finish="stop",
    ),
    OddStream(
        "an open tool_call tag",
        said('<tool_call>{"name":"get_weather","arguments":{"city":"Oslo"}}'),
        calls=ONE,
        finish="stop",
    ),
    OddStream(
        "TOOL_CALLS with a list",
        said("[TOOL_", 'CALLS][{"name": "get_weather", "arguments": {"city": "Oslo"}}]'),
        calls=ONE,
        finish="stop",
    ),
    OddStream("TOOL_CALLS with a name", said('[TOOL_CALLS]get_weather{"city": "Oslo"}'), calls=ONE, finish="stop"),
    OddStream(
        "TOOL_CALLS with a name and ARGS",
        said('[TOOL_CALLS]get_weather[ARGS]{"city": "Oslo"}'),
        calls=ONE,
        finish="stop",
    ),
    OddStream(
        "a function tag", said("<function=get_", 'weather>{"city": "Oslo"}</function>'), calls=ONE, finish="stop"
    ),
    OddStream(
        "a function tag with parameters",
        said("<tool_call>\n<function=get_weather>\n<parameter=city>\nOslo\n</parameter>\n</function>\n</tool_call>"),
        calls=ONE,
        finish="stop",
    ),
    OddStream(
        "keys and values in tags",
        said("<tool_call>get_weather\n<arg_key>city</arg_key>\n<arg_value>Oslo</arg_value>\n</tool_call>"),
        calls=ONE,
        finish="stop",
    ),
    OddStream(
        "a bare object", said('{"name": "get_wea', 'ther", "parameters": {"city": "Oslo"}}'), calls=ONE, finish="stop"
    ),
    OddStream(
        "a bare object behind words",
        said('Sure. {"name": "get_weather", "arguments": {"city": "Oslo"}}'),
        "Sure.",
        ONE,
        "stop",
    ),
    OddStream(
        "a bare list", said('[{"name": "get_weather", "arguments": {"city": "Oslo"}}]'), calls=ONE, finish="stop"
    ),
    OddStream(
        "an object in a fence",
        said("``", '`json\n{"name": "get_weather", "arguments": {"city": "Oslo"}}\n``', "`"),
        calls=ONE,
        finish="stop",
    ),
    OddStream(
        "an object with a function",
        said('{"type": "function", "function": {"name": "get_weather", "arguments": "{\\"city\\": \\"Oslo\\"}"}}'),
        calls=ONE,
        finish="stop",
    ),
    OddStream(
        "a python tag",
        said('<|python_tag|>{"name": "get_weather", "parameters": {"city": "Oslo"}}'),
        calls=ONE,
        finish="stop",
    ),
    OddStream(
        "written and real",
        [
            *said('<tool_call>{"name":"get_weather","arguments":{"city":"Oslo"}}</tool_call>'),
            tc(0, "c", "get_weather", IN_OSLO),
        ],
        calls=ONE,
    ),
    OddStream(
        "an unknown tool in tags",
        said('Hello. <tool_call>{"name": "book_table", "arguments": {}}</tool_call>'),
        "Hello.",
        finish="stop",
        reason="stop",
    ),
    OddStream(
        "broken JSON in tags",
        said('Hello. <tool_call>{"name": "get_weather", "arg</tool_call>'),
        "Hello.",
        finish="stop",
        reason="stop",
    ),
    OddStream("an object that is no call", said('{"answer": 42}'), '{"answer": 42}', finish="stop", reason="stop"),
    OddStream(
        "a bracket at the beginning", said("[sighs] Well", ", no."), "[sighs] Well, no.", finish="stop", reason="stop"
    ),
]
