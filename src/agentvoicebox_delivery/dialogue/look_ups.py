"""The steps around a look-up: call the tool, read a number back, take a refusal.

A number that was spoken may have been misheard: the tool compares all of the caller's words for it with what exists. One that was
typed is looked up as it is.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from agentvoicebox_delivery.dialogue import phrases
from agentvoicebox_delivery.dialogue.chat import OfferedTool, properties
from agentvoicebox_delivery.dialogue.state import DialogueState, Stage, Step, ToolRequest, question, say
from agentvoicebox_delivery.numbers import inquiry

MOST_REFUSED = 8


class Tools(msgspec.Struct, frozen=True):
    """The tools that the dialogue may call; None where one is not offered."""

    look_up: OfferedTool | None = None
    hand_over: OfferedTool | None = None

    @property
    def parameters(self) -> Mapping[str, Any]:
        """Those of the look-up."""
        return {} if self.look_up is None else properties(self.look_up)

    @property
    def allows_mishearing(self) -> bool:
        """Whether the look-up compares the caller's words with existing numbers."""
        return inquiry.HEARD in self.parameters


def fetch(state: DialogueState, tools: Tools, tracking_id: str, rivals: tuple[str, ...] = ()) -> Step:
    """Look up this number literally, and others that it may be read as."""
    if tools.look_up is None:
        return say(state, phrases.NO_TOOL, stage=Stage.FAILED, guess=tracking_id)
    arguments: dict[str, Any] = {"tracking_id": tracking_id}
    if rivals:
        arguments["candidates"] = [tracking_id, *rivals]
    return _requested(state, tools.look_up, arguments, guess=tracking_id)


def look_up(
    state: DialogueState,
    tools: Tools,
    tracking_id: str,
    tries: tuple[str, ...],
    *,
    ending: str = "",
    is_refused: bool = False,
) -> Step:
    """Let the tool compare all recognised numbers with existing ones. A tool without this gets the one id."""
    if tools.look_up is None or not tools.allows_mishearing:
        return fetch(state, tools, tracking_id)
    tries = tries[-inquiry.MOST_HEARINGS :]
    arguments: dict[str, Any] = {"tracking_id": tracking_id, inquiry.HEARD: list(tries)}
    if ending:
        arguments[inquiry.ENDING] = ending
    if state.refused:
        arguments[inquiry.REFUSED] = list(state.refused)
    return _requested(
        state,
        tools.look_up,
        arguments,
        guess=tracking_id,
        tries=tries,
        ending=ending,
        is_refused=is_refused,
        is_typed=False,
    )


def confirm(state: DialogueState, tracking_id: str, *, is_typed: bool) -> Step:
    """Read a number back. No state of a parcel is reported before a yes."""
    changes: dict[str, Any] = {
        "stage": Stage.CONFIRMING, "guess": tracking_id, "choices": (), "misses": 0, "is_typed": is_typed,
    }  # fmt: skip
    return say(state, question(msgspec.structs.replace(state, **changes)), **changes)


def refuse(state: DialogueState, tools: Tools, tracking_ids: tuple[str, ...]) -> Step:
    """The caller rejected the number: the next likely parcel, or the number once more."""
    refused = tuple(dict.fromkeys((*state.refused, *tracking_ids)))[-MOST_REFUSED:]
    if not state.tries or not tools.allows_mishearing:
        line = phrases.or_type_it(phrases.SAY_AGAIN) if state.has_typed else phrases.SAY_AGAIN
        return say(state, line, stage=Stage.ASKED, pieces=(), choices=(), misses=0, refused=refused, is_typed=False)
    state = msgspec.structs.replace(state, refused=refused, pieces=())
    return look_up(state, tools, state.guess or tracking_ids[0], state.tries, ending=state.ending, is_refused=True)


def _requested(state: DialogueState, tool: OfferedTool, arguments: dict[str, Any], **changes: Any) -> Step:
    fresh: dict[str, Any] = {"stage": Stage.FETCHING, "choices": (), "misses": 0, "said": "", "was_cut": False}
    return msgspec.structs.replace(state, **fresh | changes, offers_person=False), ToolRequest(tool.name, arguments)
