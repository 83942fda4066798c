"""Removes from an interaction what must not be stored. By default: words, and identifiers except their last four characters.

Local mode stores everything but secrets. A spoken call can be replayed in both modes (without words in its masked form). Its tool
calls, its lines and a webhook's request can be replayed only with words, because a masked identifier finds nothing.
"""

from typing import Any

import msgspec

from agentvoicebox.engine.inputs import Input, TextDelta, ToolCallDelta
from agentvoicebox.interactions.interaction import Interaction, Line, LogEntry, ToolUse
from agentvoicebox.interactions.rerun import masked_digest, rerun
from agentvoicebox.privacy.identifiers import IdentifierMask
from agentvoicebox.privacy.masks import masked_json, masked_text, masked_words, without_secrets


class InteractionRedactor:
    """Removes what must not be stored.

    Args:
        mask: masks identifiers.
        tool_names: names that are not masked in a hosted platform's request.
    """

    def __init__(self, mask: IdentifierMask, tool_names: frozenset[str] = frozenset()) -> None:
        self._mask = mask
        self._tool_names = tool_names

    def redacted(self, interaction: Interaction, *, masked_digests: str, keeps_words: bool) -> Interaction:
        """The interaction as it may be stored.

        Args:
            interaction: with all its words.
            masked_digests: replaces `digests` when words are removed, because `digests` could confirm a guess of the words.
            keeps_words: local mode. Secrets in a platform's request are removed in any case.
        """
        if keeps_words:
            return msgspec.structs.replace(interaction, request=without_secrets(interaction.request), has_words=True)
        return msgspec.structs.replace(
            interaction,
            has_words=False,
            transcript=tuple(_without_words(line) for line in interaction.transcript),
            tool_calls=tuple(self.masked_use(use) for use in interaction.tool_calls),
            request=self._mask.request(interaction.request, self._tool_names),
            answer=self._mask.request(interaction.answer, self._tool_names),
            digests=masked_digests,
            log=masked_log(interaction.log),
        )

    def without_words(self, interaction: Interaction) -> Interaction:
        """An interaction of local mode, as the default mode would have stored it."""
        masked = (
            "".join(masked_digest(step.effects).hex() for step in rerun(interaction.log)) if interaction.log else ""
        )
        return self.redacted(interaction, masked_digests=masked, keeps_words=False)

    def masked_use(self, use: ToolUse) -> ToolUse:
        """A tool call with masked identifiers (last four characters stay) and without its sentence."""
        return msgspec.structs.replace(
            use,
            arguments=masked_json(use.arguments, self._mask.arguments),
            output=masked_json(use.output, self._mask.output),
        )


def _without_words(line: Line) -> Line:
    return msgspec.structs.replace(line, text="")


def masked_log(log: tuple[LogEntry, ...]) -> tuple[LogEntry, ...]:
    """The log with masked texts. Text that a model streamed in pieces is masked as a whole, so that the cuts don't matter."""
    pieces = _masked_pieces(log)
    masked: list[LogEntry] = []
    for index, (now_s, given) in enumerate(log):
        data: Any = masked_words(msgspec.to_builtins(given))
        if index in pieces:
            data["arguments" if isinstance(given, ToolCallDelta) else "text"] = pieces[index]
        masked.append((now_s, msgspec.convert(data, type=Input)))
    return tuple(masked)


def _masked_pieces(log: tuple[LogEntry, ...]) -> dict[int, str]:
    """The masked text of each streamed piece, by its index in the log."""
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
