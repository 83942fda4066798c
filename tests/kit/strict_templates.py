"""What chat templates and servers refuse, in their words: rules of Mistral, Qwen, Gemma and Llama, and limits.

Each rule reads the body of a request and returns why it is refused, or nothing. `refusing` makes of them what a `chat_server`
refuses.
"""

import json
import re
from collections.abc import Callable
from itertools import pairwise
from typing import Any

Body = dict[str, Any]
Rule = Callable[[Body], str]
Lines = list[dict[str, Any]]

MISTRAL_ID = re.compile(r"[a-zA-Z0-9]{9}")


def refusing(*rules: Rule, status: int = 400) -> Callable[[Body], tuple[int, dict[str, Any]] | None]:
    """A server that refuses what one of the rules refuses."""

    def judge(body: Body) -> tuple[int, dict[str, Any]] | None:
        why = next((reason for rule in rules if (reason := rule(body))), "")
        return (status, {"error": {"message": why, "type": "invalid_request_error"}}) if why else None

    return judge


def openai(body: Body) -> str:
    """Calls and their answers, one after the other; no empty line."""
    open_calls: list[str] = []
    for line in body["messages"]:
        if line["role"] == "tool":
            if line["tool_call_id"] not in open_calls:
                return "messages with role 'tool' must be a response to a preceding message with 'tool_calls'"
            open_calls.remove(line["tool_call_id"])
            continue
        if open_calls:
            return "an assistant message with 'tool_calls' must be followed by tool messages"
        if not line.get("content") and not line.get("tool_calls"):
            return "message content must be a non-empty string"
        open_calls = [call["id"] for call in line.get("tool_calls") or ()]
    return "tool_calls without a response" if open_calls else ""


def mistral(body: Body) -> str:
    """Turns that alternate, ids of nine characters, the user or a tool last."""
    lines = _behind_system(body["messages"])
    turns = [line["role"] for line in lines if line["role"] == "user" or _has_only_words(line)]
    if any((role == "user") != (place % 2 == 0) for place, role in enumerate(turns)):
        return "After the optional system message, conversation roles must alternate user and assistant roles"
    for before, line in pairwise(lines):
        if before["role"] == "tool" and line["role"] not in ("assistant", "tool"):
            return f"Unexpected role '{line['role']}' after role 'tool'"
    ids = [call["id"] for line in lines for call in line.get("tool_calls") or ()]
    if any(not MISTRAL_ID.fullmatch(each) for each in ids):
        return "Tool call id must be a-z, A-Z, 0-9, with a length of 9."
    if not lines or lines[-1]["role"] not in ("user", "tool"):
        return "Expected last role User or Tool (or Assistant with prefix True) for serving but got assistant"
    return _system_first(body["messages"])


def qwen(body: Body) -> str:
    """A system line only at the beginning, and a query of the user."""
    if not any(line["role"] == "user" for line in body["messages"]):
        return "No user query found in messages."
    return _system_first(body["messages"])


def gemma(body: Body) -> str:
    """Two roles that alternate, nothing else."""
    lines = body["messages"]
    if lines[0]["role"] == "system":
        return "System role not supported"
    if any((line["role"] == "user") != (place % 2 == 0) for place, line in enumerate(lines)):
        return "Conversation roles must alternate user/assistant/user/assistant/..."
    return "" if all(line["role"] in ("user", "assistant") for line in lines) else "Only user and assistant roles"


def llama(body: Body) -> str:
    """One call in a line."""
    if any(len(line.get("tool_calls") or [0]) != 1 for line in body["messages"]):
        return "This model only supports single tool-calls at once!"
    return _system_first(body["messages"])


def devstral(body: Body) -> str:
    """Words or calls, not both in one line."""
    if any(
        line["role"] == "assistant" and bool(line["content"]) == bool(line.get("tool_calls"))
        for line in body["messages"]
    ):
        return "Assistant message must have either content or tool_calls, but not both."
    return mistral(body)


TEMPLATES: dict[str, Rule] = {
    "openai": openai, "mistral": mistral, "qwen": qwen, "gemma": gemma, "llama": llama, "devstral": devstral,
}  # fmt: skip


def blind(body: Body) -> str:
    """No images."""
    has_images = any(isinstance(line["content"], list) for line in body["messages"])
    return "This model does not support image input" if has_images else ""


def without(*parameters: str) -> Rule:
    """An API that does not know some parameters."""

    def rule(body: Body) -> str:
        unknown = next((name for name in parameters if name in body), "")
        return f"[{{'type': 'extra_forbidden', 'loc': ['body', '{unknown}']}}]" if unknown else ""

    return rule


def tokens_of(body: Body) -> int:
    """A server's own count, as rough as ours and another one: four characters each, images a fixed size."""
    lines = json.dumps([{**line, "content": None} for line in body["messages"]]) + json.dumps(body.get("tools"))
    parts = [line["content"] if isinstance(line["content"], list) else [line] for line in body["messages"]]
    texts = [str(part.get("text") or part.get("content") or "") for each in parts for part in each]
    images: int = sum(part.get("type") == "image_url" for each in parts for part in each)
    return (len(lines) + sum(map(len, texts))) // 4 + 800 * images


OVERFLOWS: dict[str, str] = {
    "openai": "This model's maximum context length is {limit} tokens. However, your messages resulted in {tokens} tokens. "
    "Please reduce the length of the messages. context_length_exceeded",
    "vllm": "This model's maximum context length is {limit} tokens. However, you requested {more} tokens "
    "({tokens} in the messages, 100 in the completion). Please reduce the length of the messages or completion.",
    "llama.cpp": "the request exceeds the available context size, try increasing it exceed_context_size_error "
    "n_prompt_tokens: {tokens}, n_ctx: {limit}",
    "mistral": "Prompt contains {tokens} tokens and 0 draft tokens, too large for model with {limit} maximum context length",
    "gemini": "The input token count ({tokens}) exceeds the maximum number of tokens allowed ({limit}).",
    "anthropic": "prompt is too long: {tokens} tokens > {limit} maximum",
    "groq": "Request too large for model in organization on tokens per minute (TPM): Limit {limit}, Requested {tokens}",
    "no figures": "Please reduce the length of the messages or completion. context_length_exceeded",
    "no reason": "Bad request",
}
"""How servers say that a prompt is too long."""


def at_most(limit: int, overflow: str = "openai") -> Rule:
    """A context of so many tokens, by the server's own count."""

    def rule(body: Body) -> str:
        tokens = tokens_of(body)
        words = OVERFLOWS[overflow].format(limit=limit, tokens=tokens, more=tokens + 100)
        return words if tokens > limit else ""

    return rule


def _behind_system(lines: Lines) -> Lines:
    return lines[1:] if lines and lines[0]["role"] == "system" else lines


def _system_first(lines: Lines) -> str:
    later = any(line["role"] == "system" for line in lines[1:])
    return "System message must be at the beginning." if later else ""


def _has_only_words(line: dict[str, Any]) -> bool:
    return line["role"] == "assistant" and not line.get("tool_calls")
