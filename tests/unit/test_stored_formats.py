"""What an older version stored can be read: its snapshots restore, and its logs give the same effects byte for byte."""

from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.kit.stored_sessions import FORMATS, SUFFIX, digest, load

from agentvoicebox.engine import inputs as i
from agentvoicebox.engine.session import Engine

pytestmark = pytest.mark.requirement("C13")

FILES = sorted(FORMATS.glob(f"*/sessions/*{SUFFIX}"))
ENTRY: msgspec.msgpack.Decoder[tuple[float, i.Input]] = msgspec.msgpack.Decoder(tuple[float, i.Input])


def ids(path: Path) -> str:
    return f"{path.parents[1].name}/{path.name.removesuffix(SUFFIX)}"


@pytest.mark.parametrize("path", FILES, ids=ids)
def test_a_stored_log_gives_the_same_effects(path: Path) -> None:
    session = load(path)
    now_s, opened = ENTRY.decode(session.entries[0])
    assert isinstance(opened, i.Opened)
    engine, effects = Engine.open(opened, now_s)
    assert digest(effects) == session.digests[0]
    for number, entry in enumerate(session.entries[1:], start=1):
        now_s, given = ENTRY.decode(entry)
        assert digest(engine.receive(given, now_s)) == session.digests[number], (number, given)


@pytest.mark.parametrize("path", FILES, ids=ids)
def test_a_stored_input_is_encoded_as_it_was(path: Path) -> None:
    for entry in load(path).entries:
        assert msgspec.msgpack.encode(ENTRY.decode(entry)) == entry


@pytest.mark.parametrize("path", FILES, ids=ids)
def test_a_stored_snapshot_goes_on_with_the_same_effects(path: Path) -> None:
    session = load(path)
    entries = [ENTRY.decode(entry) for entry in session.entries]
    for covered, snapshot in session.snapshots.items():
        engine = Engine.restore(snapshot)
        for number in range(covered, len(entries)):
            now_s, given = entries[number]
            assert digest(engine.receive(given, now_s)) == session.digests[number], (covered, number, given)


def test_the_stored_snapshots_show_every_part_of_a_session() -> None:
    seen: set[str] = set()
    for path in FILES:
        for snapshot in load(path).snapshots.values():
            seen |= _parts(msgspec.msgpack.decode(snapshot))
    assert seen == {
        "turn", "pausing turn", "manual turn", "failed turn", "owed transcript", "detached call", "open generation",
        "held effects", "side response", "unopened segment", "open segment", "waiting chunks", "synthesised segment",
        "open call", "running call", "returned call", "closed session",
    }  # fmt: skip


def test_a_map_that_is_no_snapshot_is_refused() -> None:
    with pytest.raises(msgspec.ValidationError, match="not a snapshot of format 0"):
        Engine.restore(msgspec.msgpack.encode({"something": "else"}))


def _parts(state: dict[str, Any]) -> set[str]:
    turn = state["buffer"]["turn"]
    responses = state["responses"].values()
    segments = [segment for response in responses for segment in response["speech"]["segments"]]
    calls = [call for response in responses for call in response["calls"]]
    present = {
        "turn": turn is not None,
        "pausing turn": turn is not None and turn["pause_sample"] is not None,
        "manual turn": turn is not None and turn["is_manual"],
        "failed turn": turn is not None and turn["failure"] is not None,
        "owed transcript": bool(state["buffer"]["owed"]),
        "detached call": bool(state["detached"]),
        "open generation": any(response["llm_job"] for response in responses),
        "held effects": any(response["held"] for response in responses),
        "side response": any(response["side"] for response in responses),
        "unopened segment": any(segment["job_id"] is None for segment in segments),
        "open segment": any(segment["job_id"] and not segment["is_synthesised"] for segment in segments),
        "waiting chunks": any(segment["waiting"] for segment in segments),
        "synthesised segment": any(segment["is_synthesised"] for segment in segments),
        "open call": any(not call["is_written"] for call in calls),
        "running call": any(call["job_id"] and call["output"] is None for call in calls),
        "returned call": any(call["output"] is not None for call in calls),
        "closed session": state["is_closed"],
    }
    return {name for name, is_present in present.items() if is_present}
