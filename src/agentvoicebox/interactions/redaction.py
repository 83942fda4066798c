"""What of an interaction may be kept: by default no words, and of ids and numbers the last four; in local mode all but secrets.

Which replays are left: a spoken call replays in both modes (without words in its masked form); its tools, its lines and a
webhook's request replay only with words, since a masked id finds no parcel.
"""

from typing import Any

import msgspec

from agentvoicebox.engine.inputs import Input, TextDelta, ToolCallDelta
from agentvoicebox.interactions.interaction import Interaction, Line, LogEntry, ToolUse
from agentvoicebox.interactions.rerun import masked_digest, rerun
from agentvoicebox.privacy.masks import (
    masked_arguments,
    masked_json,
    masked_output,
    masked_text,
    masked_words,
    without_secrets,
    without_secrets_and_words,
)
from agentvoicebox.tools.doors import BUILT_IN

_TOOL_NAMES = frozenset(BUILT_IN)


def redacted(interaction: Interaction, *, masked_digests: str, keeps_words: bool) -> Interaction:
    """An interaction as the policy lets it be kept.

    Args:
        interaction: with all its words.
        masked_digests: what takes the place of `digests` when words go, since those would confirm a guess of them.
        keeps_words: local mode. Secrets of a platform's request go in any case.
    """
    if keeps_words:
        return msgspec.structs.replace(interaction, request=without_secrets(interaction.request), has_words=True)
    return msgspec.structs.replace(
        interaction,
        has_words=False,
        transcript=tuple(_without_words(line) for line in interaction.transcript),
        tool_calls=tuple(masked_use(use) for use in interaction.tool_calls),
        request=without_secrets_and_words(interaction.request, _TOOL_NAMES),
        answer=without_secrets_and_words(interaction.answer, _TOOL_NAMES),
        digests=masked_digests,
        log=masked_log(interaction.log),
    )


def without_words(interaction: Interaction) -> Interaction:
    """An interaction that was recorded in local mode, as it would have been kept by default."""
    masked = "".join(masked_digest(step.effects).hex() for step in rerun(interaction.log)) if interaction.log else ""
    return redacted(interaction, masked_digests=masked, keeps_words=False)


def _without_words(line: Line) -> Line:
    return msgspec.structs.replace(line, text="")


def masked_use(use: ToolUse) -> ToolUse:
    """A tool call with its ids masked to the last four and its sentence left out."""
    return msgspec.structs.replace(
        use, arguments=masked_json(use.arguments, masked_arguments), output=masked_json(use.output, masked_output)
    )


def masked_log(log: tuple[LogEntry, ...]) -> tuple[LogEntry, ...]:
    """A log whose texts are masked. What a model wrote in pieces is masked as a whole, so that no cut changes the mask."""
    pieces = _masked_pieces(log)
    masked: list[LogEntry] = []
    for index, (now_s, given) in enumerate(log):
        data: Any = masked_words(msgspec.to_builtins(given))
        if index in pieces:
            data["arguments" if isinstance(given, ToolCallDelta) else "text"] = pieces[index]
        masked.append((now_s, msgspec.convert(data, type=Input)))
    return tuple(masked)


def _masked_pieces(log: tuple[LogEntry, ...]) -> dict[int, str]:
    """The masked text of each piece of a stream, by its place in the log."""
    streams: dict[tuple[str, int], list[tuple[int, str]]] = {}
    for index, (_, given) in enumerate(log):
        match given:
            case TextDelta(job_id, text):
                streams.setdefault((job_id, -1), []).append((index, text))
            case ToolCallDelta(job_id, call, _, arguments):
                streams.setdefault((job_id, call), []).append((index, arguments))
    pieces: dict[int, str] = {}
    for stream in streams.values():
        whole = masked_text("".join(text for _, text in stream))
        at = 0
        for index, text in stream:
            pieces[index] = whole[at : at + len(text)]
            at += len(text)
    return pieces
