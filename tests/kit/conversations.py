"""Random conversations as a language model's job has them: any role in any order, calls without result, results without call."""

from hypothesis import strategies as st

from agentvoicebox.engine.jobs import ChatMessage, ChatPart, Generate, ToolCall, ToolSpec

TOOLS = (
    ToolSpec("look_up", "Looks up.", {"type": "object", "properties": {"id": {"type": "string"}}}),
    ToolSpec("hang_up"),
)
IMAGE = "data:image/png;base64,AA=="

_words = st.sampled_from(
    ["", "Where is it?", "Let me look.", "Yes.", "no 7", "a" * 40, "long " * 300, "数" * 200, "😀 and so on " * 60]
)
_ids = st.sampled_from(["call_a", "call_b", "call_c", "call_d", "c" * 60])
_calls = st.lists(
    st.builds(
        ToolCall,
        _ids,
        st.sampled_from(["look_up", "hang_up", "gone"]),
        st.sampled_from(["{}", '{"id":"7"}', "{half", ""]),
    ),
    max_size=3,
).map(tuple)
_with_image = st.builds(
    lambda before, after, detail: ChatMessage(
        "user",
        " ".join(each for each in (before, after) if each),
        images=(IMAGE, IMAGE),
        parts=(ChatPart(before), ChatPart(image=0, detail=detail), ChatPart(after), ChatPart(image=1)),
    ),
    st.sampled_from(["Before:", "Look."]), st.sampled_from(["After:", "And this."]), st.sampled_from(["", "low"]),
)  # fmt: skip
lines = st.one_of(
    st.builds(ChatMessage, st.just("user"), _words),
    st.builds(ChatMessage, st.just("assistant"), _words),
    st.builds(ChatMessage, st.just("assistant"), _words, _calls),
    st.builds(ChatMessage, st.just("tool"), _words, call_id=_ids),
    st.builds(ChatMessage, st.just("system"), _words),
    _with_image,
)
"""One line of a conversation."""

conversations = st.builds(
    lambda instructions, messages, has_tools: Generate(
        "resp_1", "openai", instructions, tuple(messages), TOOLS if has_tools else ()
    ),
    st.sampled_from(["", "Be kind."]), st.lists(lines, max_size=24), st.booleans(),
)  # fmt: skip
"""A request of the engine, or one that no engine makes but a client's items allow."""
