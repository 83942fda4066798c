"""The grounding corpora: replies a language model might write, and the calls ("scenes") they are written in."""

import json
from collections.abc import Iterator
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

import msgspec

from agentvoicebox.engine.jobs import ChatMessage
from agentvoicebox_delivery.grounding.facts import Facts, gather
from agentvoicebox_delivery.grounding.grounder import check_whole
from agentvoicebox_delivery.numbers.tracking import Candidate
from agentvoicebox_delivery.parcels import track
from agentvoicebox_delivery.parcels.shipment import Shipment

FOLDER = Path(__file__).parents[1] / "data" / "grounding"
TODAY = date(2026, 11, 22)  # a Sunday


class Line(msgspec.Struct, frozen=True):
    """A reply. `kind` says what is false in it (adversarial), or of what sort it is (honest)."""

    scene: str
    text: str
    kind: str = ""


def corpus(name: str) -> list[Line]:
    """The lines of `<name>.jsonl`."""
    text = (FOLDER / f"{name}.jsonl").read_text(encoding="utf-8")
    return [msgspec.json.decode(line, type=Line) for line in text.splitlines() if line.strip()]


@cache
def scenes() -> dict[str, tuple[ChatMessage, ...]]:
    """Each scene's conversation, its tool results as our own tool writes them."""
    return {name: tuple(_conversation(scene)) for name, scene in _read_scenes().items()}


@cache
def facts_of(scene: str) -> Facts:
    """What may be said in a scene, on its day."""
    return gather(scenes()[scene], day_of(scene))


def day_of(scene: str) -> date:
    """The day of a scene's call: its own, or `TODAY`."""
    day = _read_scenes()[scene].get("today")
    return date.fromisoformat(day) if day else TODAY


@cache
def _read_scenes() -> dict[str, dict[str, Any]]:
    lines = [
        json.loads(line)
        for name in ("scenes", "hotline_scenes")
        for line in (FOLDER / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
    ]
    return {line["scene"]: line for line in lines}


def result_json(result: dict[str, Any], today: date = TODAY) -> str:
    """A result as `workers/tool` publishes it on `today`."""
    match result:
        case {"code": "NOT_FOUND", "tracking_id": tracking_id}:
            return track.outcome([Candidate(tracking_id, 1.0)], []).as_json()
        case {"code": "UNAVAILABLE"}:
            return track.unavailable().as_json()
        case {"code": "ERROR"}:
            return track.error().as_json()
        case {"code": "INVALID_ID"}:
            return track.invalid_id().as_json()
        case {"code": "CONFIRM", "tracking_id": tracking_id}:
            asked = [Candidate("PKG999", 1.0), Candidate(tracking_id, 0.5)]
            return track.outcome(asked, [_shipment({"tracking_id": tracking_id, "status": "in_transit"})]).as_json()
        case {"code": "AMBIGUOUS", "candidates": ids}:
            found = [_shipment({"tracking_id": each, "status": "in_transit"}) for each in ids]
            return track.outcome([Candidate(each, 1.0) for each in ids], found).as_json()
    age_s = float(result.get("age_s", 0))
    shipment = _shipment({name: value for name, value in result.items() if name != "age_s"})
    return track.outcome([Candidate(shipment.tracking_id, 1.0)], [shipment], today=today, age_s=age_s).as_json()


def _shipment(fields: dict[str, Any]) -> Shipment:
    return msgspec.convert(fields, Shipment, strict=False)


def _conversation(scene: dict[str, Any]) -> Iterator[ChatMessage]:
    """The caller's lines, each with its result after it; the lines left over come last.

    `turns` says the order itself: the caller's lines as text, each result as `{"result": …}`, told before the next line, and
    the agent's own lines as `{"said": …}`.
    """
    if "turns" in scene:
        yield from _turns(scene["turns"], date.fromisoformat(scene["today"]))
        return
    results = scene.get("results", [])
    if len(results) > 1:
        for number, (line, result) in enumerate(zip(scene["user"], results, strict=True)):
            yield ChatMessage("user", line)
            yield ChatMessage("tool", result_json(result), call_id=f"call_{number}")
        return
    yield ChatMessage("user", scene["user"][0])
    for result in results:
        yield ChatMessage("tool", result_json(result), call_id="call_0")
    for line in scene["user"][1:]:
        if results:
            yield ChatMessage("assistant", json.loads(result_json(results[0]))["speech"])
        yield ChatMessage("user", line)


def _turns(turns: list[Any], today: date) -> Iterator[ChatMessage]:
    told = ""
    for number, turn in enumerate(turns):
        if isinstance(turn, str):
            if told:
                yield ChatMessage("assistant", told)
            told = ""
            yield ChatMessage("user", turn)
        elif "said" in turn:
            yield ChatMessage("assistant", turn["said"])
        else:
            output = result_json(turn["result"], today)
            told = json.loads(output)["speech"]
            yield ChatMessage("tool", output, call_id=f"call_{number}")


def passes(scene: str, text: str) -> bool:
    """Whether a reply passes whole in a scene."""
    return all(verdict.allowed for verdict in check_whole(text, facts_of(scene)))
