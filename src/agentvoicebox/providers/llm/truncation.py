"""Which part of a long conversation a model is given: the newest turns that fit.

The oldest messages leave, a call always with its result. The last line of the user stays, if need be cut in its middle; the
instructions are not touched.
"""

from typing import Any, NamedTuple

import msgspec
from msgspec import UNSET

from agentvoicebox.engine.jobs import ChatMessage, Generate, ToolCall
from agentvoicebox.providers.llm.token_estimate import fixed_tokens, message_tokens, text_tokens

DISABLED = "disabled"
AUTO_RATIO = (
    0.8  # room for some turns, so that the beginning of the prompt, which servers cache, is not another one each time
)
LEAST_TOKENS = 64  # of a conversation, and of a text in it that is cut
MARK = " […] "


class Fitted(NamedTuple):
    """A request that fits.

    Attributes:
        left_out: how many messages of the original one, from its beginning, are not in it.
        tokens: estimate of its prompt.
    """

    request: Generate
    left_out: int
    tokens: int


def fitted(request: Generate, prompt_tokens: int = 0, *, sees_images: bool = True) -> Fitted:
    """The request with as much of its conversation as fits.

    Args:
        request: its `truncation` decides how much stays once something must leave.
        prompt_tokens: the most that a prompt may have, as `token_estimate` counts; 0: no limit is known.
        sees_images: the model is given images; else they take no room.
    """
    fixed = fixed_tokens(request.instructions, request.tools)
    costs = [message_tokens(message, sees_images=sees_images) for message in request.messages]
    whole = Fitted(request, 0, fixed + sum(costs))
    limit = _conversation_limit(request.truncation, prompt_tokens - fixed if prompt_tokens else None)
    if limit is None or sum(costs) <= limit:
        return whole
    target = max(LEAST_TOKENS, int(limit * _ratio(request.truncation)))
    begin = _begin(request.messages, costs, target)
    kept = _cut(request.messages[begin:], target)
    tokens = fixed + sum(map(message_tokens, kept))
    return Fitted(msgspec.structs.replace(request, messages=tuple(kept)), begin, tokens)


def is_disabled(request: Generate) -> bool:
    """Whether nothing may leave the prompt."""
    return request.truncation == DISABLED


def _conversation_limit(truncation: Any, context: int | None) -> int | None:
    if truncation == DISABLED:
        return None
    limits = [] if context is None else [max(LEAST_TOKENS, context)]
    if isinstance(truncation, dict):
        own = (truncation.get("token_limits") or {}).get("post_instructions")
        limits += [] if own is None else [own]
    return min(limits, default=None)


def _ratio(truncation: Any) -> float:
    return truncation["retention_ratio"] if isinstance(truncation, dict) else AUTO_RATIO


def _begin(messages: tuple[ChatMessage, ...], costs: list[int], target: int) -> int:
    """The first message that stays: the beginning of a turn where possible."""
    users = [
        place for place, message in enumerate(messages) if message.role == "user" and (message.text or message.images)
    ]
    last = users[-1] if users else len(messages) - 1
    answered = {message.call_id: place for place, message in enumerate(messages) if message.role == "tool"}
    rest, open_until, whole = sum(costs), -1, 0
    fitting: int | None = None
    for place in range(last + 1):
        if place > open_until:  # no call before it has its result behind it
            whole = place
            if rest <= target:
                if messages[place].role == "user":
                    return place
                fitting = place if fitting is None else fitting
        open_until = max([open_until, *(answered.get(call.call_id, -1) for call in messages[place].tool_calls)])
        rest -= costs[place]
    return whole if fitting is None else fitting


def _cut(messages: tuple[ChatMessage, ...], target: int) -> list[ChatMessage]:
    """Messages of the last turn, shortened until they fit: first whole calls behind the user's line, then long texts."""
    kept = _without_older_steps(messages, target)
    for _ in range(len(kept)):
        costs = [message_tokens(message) for message in kept]
        excess = sum(costs) - target
        place = max(range(len(kept)), key=lambda each: _own_tokens(kept[each]), default=0)
        own = _own_tokens(kept[place]) if kept else 0
        if excess <= 0 or own <= LEAST_TOKENS:
            break
        kept[place] = _shorter(kept[place], max(LEAST_TOKENS, own - excess))
    return kept


def _without_older_steps(messages: tuple[ChatMessage, ...], target: int) -> list[ChatMessage]:
    """Without the assistant's older lines behind the user's, each with the results of its calls; its last line stays."""
    kept = list(messages)
    for step in [message for message in messages if message.role == "assistant"][:-1]:
        if sum(map(message_tokens, kept)) <= target:
            break
        ids = {call.call_id for call in step.tool_calls}
        kept = [each for each in kept if each is not step and not (each.role == "tool" and each.call_id in ids)]
    return kept


def _own_tokens(message: ChatMessage) -> int:
    return text_tokens(message.text) + sum(text_tokens(call.arguments) for call in message.tool_calls)


def _shorter(message: ChatMessage, tokens: int) -> ChatMessage:
    calls = tuple(
        ToolCall(call.call_id, call.name, "{}") if text_tokens(call.arguments) > tokens else call
        for call in message.tool_calls
    )
    text = cut_in_the_middle(message.text, tokens)
    parts = message.parts
    if parts is not UNSET and text != message.text:
        share = max(1, tokens // max(1, sum(part.image is None for part in parts)))
        parts = tuple(
            part if part.image is not None else msgspec.structs.replace(part, text=cut_in_the_middle(part.text, share))
            for part in parts
        )
    return msgspec.structs.replace(message, text=text, tool_calls=calls, parts=parts)


def cut_in_the_middle(text: str, tokens: int) -> str:
    """A text of about so many tokens: its beginning and its end, with a mark between."""
    own = text_tokens(text)
    if own <= tokens:
        return text
    half = max(1, int(len(text) * max(1, tokens - text_tokens(MARK)) / own) // 2)
    return f"{text[:half].rstrip()}{MARK}{text[-half:].lstrip()}"
