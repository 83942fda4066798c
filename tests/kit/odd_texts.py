"""Text in odd shapes, thoughts around it, and answers without any."""

from tests.kit.odd_stream import IN_OSLO, ONE, OddStream, said, tc

HALVES = ("Hi \ud83d", "\ude00 there")

TEXTS = [
    OddStream("halves of a character", said(*HALVES), "Hi 😀 there"),
    OddStream("a half alone", said("Hi \ud83d", " there"), "Hi \ufffd there"),
    OddStream("a half at the end", said("Hi \ud83d"), "Hi \ufffd"),
    OddStream("a second half alone", said("Hi \ude00 there"), "Hi \ufffd there"),
    OddStream(
        "content as parts",
        [{"content": [{"type": "text", "text": "Hi "}, {"type": "text", "text": "there"}]}],
        "Hi there",
    ),
    OddStream("content as an object", [{"content": {"type": "text", "text": "Hi there"}}], "Hi there"),
    OddStream(
        "content as a part with a thought",
        [{"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "Hmm."}]}]}, {"content": "Hi there"}],
        "Hi there",
    ),
    OddStream("a message", said("Hi ", "there"), "Hi there", field="message"),
    OddStream("a refusal", [{"content": None, "refusal": "I can't help with that."}], "I can't help with that."),
    OddStream(
        "chunks without anything",
        [{}, {"content": None}, {"content": ""}, *said("Hi there"), {"tool_calls": None}, {"tool_calls": []}],
        "Hi there",
    ),
    OddStream(
        "values of other types",
        [{"content": 7, "tool_calls": "x", "function_call": [], "reasoning": 0}, *said("Hi there")],
        "Hi there",
    ),
    OddStream("control words", said("<|im_start|>assistant", "Hi there<|im_", "end|>"), "Hi there"),
    OddStream("ends with eos", said("Hi there"), "Hi there", finish="eos"),
    OddStream("ends with end_turn", said("Hi there"), "Hi there", finish="end_turn"),
    OddStream("ends as calls without any", said("Hi there"), "Hi there", finish="tool_calls"),
    OddStream("ends with max_tokens", said("Hi there"), "Hi there", finish="max_tokens", reason="length"),
    OddStream("ends with MAX_TOKENS", said("Hi there"), "Hi there", finish="MAX_TOKENS", reason="length"),
    OddStream("ends with safety", said("Hi there"), "Hi there", finish="SAFETY", reason="content_filter"),
]
TEXTS = [row._replace(reason="stop") if row.reason == "tool_calls" else row for row in TEXTS]
TEXTS = [row._replace(finish="stop") if row.finish == "tool_calls" and "ends" not in row.name else row for row in TEXTS]

_THOUGHT = "\nThe caller says hello. I should greet them.\n"
THOUGHTS = [
    OddStream(
        f"{opening} {closing}",
        said(opening, _THOUGHT, closing, "\n\n", "Hello there."),
        "Hello there.",
        finish="stop",
        reason="stop",
    )
    for opening, closing in (
        ("<think>", "</think>"),
        ("<thinking>", "</thinking>"),
        ("<thought>", "</thought>"),
        ("<reasoning>", "</reasoning>"),
        ("[THINK]", "[/THINK]"),
        ("<THINK>", "</Think>"),
        ("◁think▷", "◁/think▷"),
        ("<|channel|>analysis<|message|>", "<|end|><|start|>assistant<|channel|>final<|message|>"),
    )
] + [
    OddStream(
        "tags cut anywhere",
        said("<th", "ink", ">", "a < b", "</", "thi", "nk", ">Hello", " there."),
        "Hello there.",
        finish="stop",
        reason="stop",
    ),
    OddStream(
        "a thought in the middle",
        said("Hello <think>more", "</think>there."),
        "Hello there.",
        finish="stop",
        reason="stop",
    ),
    OddStream(
        "a thought before a call", [*said("<think>weather</think>"), tc(0, "c", "get_weather", IN_OSLO)], calls=ONE
    ),
    OddStream(
        "a written call within a thought",
        said('<think><tool_call>{"name":"get_time"}</tool_call></think>Hello there.'),
        "Hello there.",
        finish="stop",
        reason="stop",
    ),
    OddStream(
        "reasoning_content",
        [{"reasoning_content": "Hm"}, {"reasoning_content": "m."}, *said("Hello there.")],
        "Hello there.",
        finish="stop",
        reason="stop",
    ),
    OddStream(
        "reasoning",
        [{"reasoning": "Hmm.", "content": ""}, *said("Hello there.")],
        "Hello there.",
        finish="stop",
        reason="stop",
    ),
    OddStream(
        "a sign that begins no tag",
        said("1 <", " 2 and <the", "n> 3"),
        "1 < 2 and <then> 3",
        finish="stop",
        reason="stop",
    ),
]

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
