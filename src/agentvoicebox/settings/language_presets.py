"""Well-known language model servers by one word: where they are, whether they need a key, and where they differ from OpenAI's."""

import json
from typing import Any, NamedTuple


class Preset(NamedTuple):
    """A kind of server.

    Attributes:
        base_url: of its API; empty: OpenAI's own.
        needs_key: it answers nothing without a key.
        limit_name: its name of the limit on an answer's tokens.
        takes_stream_options: it takes `stream_options`; others send their count of tokens unasked, or none.
        takes_named_tool: `tool_choice` may name a function; else only this function is offered, as required.
    """

    base_url: str
    needs_key: bool = False
    limit_name: str = "max_tokens"
    takes_stream_options: bool = True
    takes_named_tool: bool = True


class LanguageServer(NamedTuple):
    """A configured language model server.

    Attributes:
        name: by which agents' files refer to it; `openai` is the first.
        base_url: empty: the preset's.
        model: unless an agent names another.
        preset: the kind of server, a word of `PRESETS`; empty: any.
        extra: additional keys of each request.
        context_tokens: of its model; 0: not known.
    """

    name: str
    base_url: str
    api_key: str
    model: str
    preset: str
    extra: dict[str, Any]
    context_tokens: int


PRESETS = {
    "openai": Preset("", needs_key=True, limit_name="max_completion_tokens"),
    "groq": Preset("https://api.groq.com/openai/v1", needs_key=True, limit_name="max_completion_tokens"),
    "ollama": Preset("http://127.0.0.1:11434/v1", takes_named_tool=False),
    "llama.cpp": Preset("http://127.0.0.1:8080/v1", takes_named_tool=False),
    "vllm": Preset("http://127.0.0.1:8000/v1"),
    "gemini": Preset("https://generativelanguage.googleapis.com/v1beta/openai", needs_key=True, takes_named_tool=False),
    "mistral": Preset("https://api.mistral.ai/v1", needs_key=True, takes_stream_options=False),
}
KNOWN = ", ".join(PRESETS)

OWN_KEYS = frozenset({
    "model", "messages", "stream", "stream_options", "tools", "tool_choice", "functions", "function_call", "n",
    "max_tokens", "max_completion_tokens",
})  # fmt: skip
"""Keys of a request that the server sets itself: neither settings nor an agent's file may."""


def check_options(options: object) -> dict[str, Any]:
    """Additional keys of a request, as they are.

    Raises:
        ValueError: they are no object, not JSON, or one is set by the server itself; the message names it.
    """
    if not isinstance(options, dict):
        raise ValueError('should be an object, like {"temperature": 0.3}')
    own = sorted(OWN_KEYS & options.keys())
    if own:
        raise ValueError(f"{own[0]} is set by this server; leave it out")
    try:
        json.dumps(options, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        raise ValueError("only text, numbers, true, false, lists and objects can be sent") from None
    return options


def read_options(text: str) -> dict[str, Any]:
    """Additional keys of a request from JSON text; "" means none.

    Raises:
        ValueError: as for `check_options`, or the text is not JSON.
    """
    if not text:
        return {}
    try:
        options = json.loads(text)
    except (ValueError, RecursionError):
        raise ValueError('should be JSON, like {"temperature": 0.3}') from None
    return check_options(options)
