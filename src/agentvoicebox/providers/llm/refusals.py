"""What a server's refusal says about its model: how long a prompt may be, and what its template or API does not take.

A refusal has no code that all servers share, so its words are read. What is learnt holds for the model from then on.
"""

import re

import msgspec

from agentvoicebox.providers.llm.chat import ChatShape

CALIBRATION = 1.1  # a count of one prompt says little about the next one
LEAST_OUTPUT = 1_024  # tokens of the context that are left for the answer, where the request has no limit
_LENGTH = re.compile(
    r"context[ _](length|size|window)|maximum context|n_ctx|max_model_len|too many tokens|reduce the length|"
    r"(prompt|input|request) (is )?too (long|large)|token count|maximum (prompt|input|number of tokens)|"
    r"too large for model|exceed_context|tokens? (limit|exceed)|exceeds the (limit|maximum)|input length"
)
_LIMITS = (
    re.compile(r"n_ctx\D{1,6}(\d[\d,]*)"),
    re.compile(r"(\d[\d,]*)\s*(?:tokens?\s*)?maximum"),
    re.compile(r"(?:maximum|limit|available|allowed|context)[^\d]{0,60}?(\d[\d,]*)"),
)
_ASKED = (
    re.compile(r"(\d[\d,]*) (?:tokens? )?in the messages"),
    re.compile(r"n_prompt_tokens\D{1,6}(\d[\d,]*)"),
    re.compile(
        r"(?:requested|resulted in|contains(?: at least)?|token count|too long|prompt has|request has)\D{0,20}(\d[\d,]*)"
    ),
)
_UNKNOWN = re.compile(r"not support|unsupported|forbidden|unknown|unrecogni|not permitted|unexpected|instead")
_NO_IMAGES = re.compile(r"image|vision|multi-?modal|content type")
_BAD_IMAGE = re.compile(  # of this one image, not of all
    r"(decode|corrupt|malformed|base64|download|load|process|parse|valid) .{0,20}image|"
    r"image.{0,40}(decode|corrupt|malformed|too (large|small)|could not|failed)"
)
_LEAST_NUMBER = 16  # smaller ones are codes or places, not lengths


class ModelTraits(msgspec.Struct, frozen=True):
    """What is known of one model on one server.

    Attributes:
        shape: what its template takes.
        prompt_tokens: the most tokens of a prompt, as `token_estimate` counts; 0: not known.
        limit_name: the name of the limit on an answer.
        takes_stream_options, takes_named_tool: see `language_presets.Preset`.
        takes_tool_choice: `tool_choice` in any form.
        begins_inside: its template begins a thought itself.
    """

    shape: ChatShape = ChatShape()
    prompt_tokens: int = 0
    limit_name: str = "max_tokens"
    takes_stream_options: bool = True
    takes_named_tool: bool = True
    takes_tool_choice: bool = True
    begins_inside: bool = False


class Asked(msgspec.Struct, frozen=True):
    """The request that was refused.

    Attributes:
        tokens: estimate of its prompt.
        output_tokens: the limit of its answer; 0: none.
        has_images: it has images.
        has_calls: its conversation has tool calls.
    """

    tokens: int
    output_tokens: int = 0
    has_images: bool = False
    has_calls: bool = False


def learnt(traits: ModelTraits, status: int, words: str, asked: Asked) -> tuple[ModelTraits, bool]:
    """What is known after a refusal, and whether that is certain; a guess for this request alone where it says nothing of use.

    Args:
        traits: what was known before.
        status: of the HTTP answer.
        words: all that the server says, with its codes.
        asked: the request.
    """
    words = words.lower()
    if status == 413 and asked.has_images:  # images are most of the bytes
        return msgspec.structs.replace(traits, shape=msgspec.structs.replace(traits.shape, images=False)), False
    if status == 413 or _LENGTH.search(words):
        return msgspec.structs.replace(traits, prompt_tokens=_prompt_tokens(words, asked)), True
    if known := _unknown_parameter(traits, words) or _template(traits, words, asked):
        return known, True
    if asked.has_images:
        return msgspec.structs.replace(traits, shape=msgspec.structs.replace(traits.shape, images=False)), False
    return msgspec.structs.replace(traits, prompt_tokens=max(1, asked.tokens // 2)), False


def is_too_long(status: int, words: str) -> bool:
    """Whether a refusal is about the length of the prompt."""
    return status == 413 or _LENGTH.search(words.lower()) is not None


def _unknown_parameter(traits: ModelTraits, words: str) -> ModelTraits | None:
    replace = msgspec.structs.replace
    if "stream_options" in words or "include_usage" in words:
        return replace(traits, takes_stream_options=False) if traits.takes_stream_options else None
    if ("max_completion_tokens" in words or "max_tokens" in words) and _UNKNOWN.search(words):
        other = "max_tokens" if traits.limit_name == "max_completion_tokens" else "max_completion_tokens"
        return replace(traits, limit_name=other)
    if "tool_choice" in words or "tool choice" in words:
        if traits.takes_named_tool:
            return replace(traits, takes_named_tool=False)
        return replace(traits, takes_tool_choice=False) if traits.takes_tool_choice else None
    return None


def _template(traits: ModelTraits, words: str, asked: Asked) -> ModelTraits | None:
    shape = traits.shape
    if asked.has_images and shape.images and _NO_IMAGES.search(words) and not _BAD_IMAGE.search(words):
        change = {"images": False}
    elif shape.system and re.search(r"system (role|message|prompt)|role\W+system", words):
        change = {"system": False}
    elif shape.parallel_calls and re.search(r"single tool.calls?|parallel tool", words):
        change = {"parallel_calls": False}
    elif shape.words_with_calls and re.search(r"either content or tool_calls|not both", words):
        change = {"words_with_calls": False}
    elif asked.has_calls and shape.tool_lines and re.search(r"alternate|only user|role\W+tool|tool role", words):
        change = {"tool_lines": False}
    else:
        return None
    return msgspec.structs.replace(traits, shape=msgspec.structs.replace(shape, **change))


def _prompt_tokens(words: str, asked: Asked) -> int:
    """The most tokens of a prompt by our count: by the server's figures, or half of what was too much."""
    limit, requested = _first_number(_LIMITS, words), _first_number(_ASKED, words)
    half = max(1, asked.tokens // 2)
    if not limit:
        return half
    output = asked.output_tokens or min(LEAST_OUTPUT, limit // 4)
    room = max(limit - output, limit // 4)
    if requested > limit // 2 and asked.tokens:
        return max(1, min(asked.tokens - 1, int(room * asked.tokens / (requested * CALIBRATION))))
    return max(1, min(asked.tokens * 9 // 10, room))


def _first_number(patterns: tuple[re.Pattern[str], ...], words: str) -> int:
    for pattern in patterns:
        for found in pattern.finditer(words):
            number = int(found.group(1).replace(",", "") or 0)
            if number >= _LEAST_NUMBER:
                return number
    return 0
