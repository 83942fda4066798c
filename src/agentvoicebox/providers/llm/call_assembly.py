"""Pieces of tool calls → deltas with our own numbers of the calls.

A server may number its calls, give them ids, or neither, and either may be wrong: one number for all calls, a new id with every
piece, the name in every piece, the whole call once more at its end. A piece belongs to the call that it fits; arguments end
with their JSON object, and what follows it is no part of them.
"""

import json
from collections.abc import Sequence

from agentvoicebox.engine.inputs import ToolCallDelta
from agentvoicebox.engine.tool_calls import is_json_object
from agentvoicebox.errors import BadProviderAnswer
from agentvoicebox.providers.llm.chunk import CallPiece
from agentvoicebox.providers.llm.json_text import JsonScanner, json_value
from agentvoicebox.providers.llm.surrogates import SurrogateJoiner, joined

MAX_CALLS = 128  # of one answer; each of them is looked at for each piece


class CallAssembly:
    """The tool calls of one answer."""

    def __init__(self, job_id: str) -> None:
        self._job_id = job_id
        self._calls: list[_Call] = []
        self._count = 0  # of those with a name

    @property
    def has_calls(self) -> bool:
        """Whether there is a call with a name."""
        return self._count > 0

    @property
    def are_whole(self) -> bool:
        """Whether each call has a JSON object as its arguments."""
        return all(is_json_object(call.published) for call in self._calls if call.number is not None)

    def feed(self, pieces: Sequence[CallPiece]) -> list[ToolCallDelta]:
        """What the pieces of one chunk add. Raises BadProviderAnswer beyond MAX_CALLS."""
        found: list[ToolCallDelta] = []
        for place, piece in enumerate(pieces):
            call = self._call_of(piece, place, len(pieces))
            if call is None:
                if len(self._calls) == MAX_CALLS:
                    raise BadProviderAnswer(f"the language model's answer has more than {MAX_CALLS} tool calls")
                call = _Call()
                self._calls.append(call)
            call.learn(piece)
            found += self._published(call, call.feed(piece.arguments))
        return found

    def finish(self, *, is_cut: bool) -> list[ToolCallDelta]:
        """The end of the answer. `is_cut`: by a limit, so that a call without arguments may have lost them."""
        found: list[ToolCallDelta] = []
        for call in self._calls:
            found += self._published(call, call.finish(is_cut=is_cut))
        return found

    def _published(self, call: "_Call", arguments: str) -> list[ToolCallDelta]:
        if not call.name:
            call.waiting += arguments
            return []
        name = None
        if call.number is None:
            name, call.number = call.name, self._count
            self._count += 1
            arguments, call.waiting = call.waiting + arguments, ""
        call.published += arguments
        return [ToolCallDelta(self._job_id, call.number, name, arguments)] if name or arguments else []

    def _call_of(self, piece: CallPiece, place: int, count: int) -> "_Call | None":
        """The call that a piece continues; None: it begins one."""
        if not self._calls:
            return None
        for call in reversed(self._calls):
            if piece.call_id and piece.call_id in call.ids and _agree(call.index, piece.index):
                return call if call.fits(piece) else None
        if piece.index is not None:
            for call in reversed(self._calls):
                if call.index == piece.index:
                    return call if call.fits(piece) else None
            last = self._calls[-1]
            return last if not piece.name and last.index is None and not last.is_whole else None
        if count > 1 and not piece.name:
            return self._calls[place] if place < len(self._calls) else self._calls[-1]
        return self._calls[-1] if self._calls[-1].fits(piece) else None


class _Call:
    """One call while it is read.

    Attributes:
        number: our own; None until its name is known.
        waiting: arguments that came before the name.
        published: arguments that were passed on.
    """

    def __init__(self) -> None:
        self.index: int | None = None
        self.ids: set[str] = set()
        self.name = ""
        self.number: int | None = None
        self.waiting = ""
        self.published = ""
        self._read = ""  # all arguments so far, as they came
        self._held = ""  # no object has begun yet
        self._scanner = JsonScanner()
        self._joiner = SurrogateJoiner()
        self._is_begun = False

    @property
    def is_whole(self) -> bool:
        return self._scanner.is_ended

    def fits(self, piece: CallPiece) -> bool:
        """Whether a piece with this call's number, id or place continues it."""
        if not piece.name or not self.name:
            return True
        if piece.name != self.name:
            return False
        is_new_id = bool(piece.call_id and self.ids) and piece.call_id not in self.ids
        if not self.is_whole:  # without a number, a new id with the beginning of an object is another call
            return not (is_new_id and piece.index is None and piece.arguments.lstrip()[:1] in ("", "{"))
        return not is_new_id and piece.arguments.strip() in ("", "{}", self._read.strip())

    def learn(self, piece: CallPiece) -> None:
        """Take the number, id and name of a piece."""
        self.index = piece.index if self.index is None else self.index
        self.ids |= {piece.call_id} if piece.call_id else set()
        self.name = self.name or joined(piece.name)

    def feed(self, arguments: str) -> str:
        """What the arguments add to the JSON object."""
        if self.is_whole:
            return ""
        text = self._joiner.feed(arguments)
        self._read += text
        if not self._is_begun:
            self._held += text
            if not self._held.lstrip().startswith("{"):
                return ""
            text, self._held, self._is_begun = self._held.lstrip(), "", True
        return text[: self._scanner.feed(text)]

    def finish(self, *, is_cut: bool) -> str:
        """What is missing at the end: an object for arguments that are none, empty or written as text."""
        if self.is_whole:
            return ""
        rest = self.feed(self._joiner.flush())
        if self._is_begun:
            return rest
        if not self._held.strip():
            return "" if is_cut else "{}"
        value = json_value(self._held)
        if isinstance(value, str):
            value = json_value(value) if value.strip() else {}
            return self._held if not isinstance(value, dict) else json.dumps(value)
        is_nothing = value in (None, [], False) and self._held.strip() in ("null", "None", "[]", "false", "undefined")
        return "{}" if is_nothing else self._held


def _agree(one: int | None, other: int | None) -> bool:
    return one is None or other is None or one == other
