"""The picture of a call can be drawn for every call, and says what it is about."""

import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest

from agentvoicebox.client.call_record import CallRecord, CallTurn, HiddenWork, LoggedEvent, ServerAccount
from agentvoicebox.client.timeline import CALLER, LOOKS, MARKS, draw_timeline, timeline_svg

RATE_HZ = 24_000
SVG = "{http://www.w3.org/2000/svg}"


def record_of(*turns: CallTurn, seconds: float = 4.0) -> CallRecord:
    noise = np.random.default_rng(0).normal(0, 4000, round(seconds * RATE_HZ)).astype(np.int16)
    record = CallRecord("url", "delivery", RATE_HZ, turns=list(turns), caller_pcm=noise, agent_pcm=noise)
    record.events = [LoggedEvent(1.0, 0.0, "server", "response.created", {}, 0, 0)]
    return record


def answered_turn() -> CallTurn:
    turn = CallTurn(1, "Where is my parcel?", replied="On its way & <near>.", start_s=0.5, end_s=1.0, end_wall_s=1.0)
    turn.first_audio_s, turn.reply_end_s = 1.4, 3.0
    parts = {"endpointing": 330.0, "queue": 1.0, "stt": 0.0, "dialogue": 2.0, "tool": 0.0, "tts": 50.0, "gateway": 3.0}
    turn.account = ServerAccount("r", 1.01, 386.0, parts, 330.0, (HiddenWork("stt", 160.0, 250.0),))
    return turn


def texts(picture: ET.Element) -> list[str]:
    return [element.text or "" for element in picture.iter(f"{SVG}text")]


def number(element: ET.Element, name: str) -> float:
    return float(element.attrib[name])


def test_a_picture_shows_the_words_and_the_parts_of_the_wait(tmp_path: Path) -> None:
    path = tmp_path / "call.svg"
    draw_timeline(record_of(answered_turn()), path)
    picture = ET.parse(path).getroot()
    written = texts(picture)
    assert {"Where is my parcel?", "On its way & <near>.", "400 ms", "turn 1", "seconds since the call began"} <= {
        *written
    }
    assert "endpointing 340.0  +  queue 1.0  +  dialogue 2.0  +  tts 50.0  +  gateway 3.0  +  line 4.0" in written
    assert picture.attrib["aria-label"] == "A call to delivery: 1 turn, 4.0 s"


def test_the_parts_of_a_wait_touch_each_other_and_make_the_whole() -> None:
    picture = ET.fromstring(timeline_svg(record_of(answered_turn())))
    bars = [bar for bar in picture.iter(f"{SVG}rect") if ": " in bar.findtext(f"{SVG}title", "")]
    ends = [number(bar, "x") + number(bar, "width") for bar in bars]
    assert [number(bar, "x") for bar in bars[1:]] == pytest.approx(ends[:-1], abs=0.05)
    first, last = number(bars[0], "x"), ends[-1]
    ms_each = [float(bar.findtext(f"{SVG}title", "").split()[1]) for bar in bars]
    widths = [number(bar, "width") / (last - first) * sum(ms_each) for bar in bars]
    assert widths == pytest.approx(ms_each, abs=0.1) and sum(ms_each) == pytest.approx(400.0)


def test_silence_takes_no_place_in_the_file() -> None:
    record = record_of(seconds=60.0)
    record.caller_pcm[RATE_HZ : 59 * RATE_HZ] = 0
    areas = [
        area for area in ET.fromstring(timeline_svg(record)).iter(f"{SVG}polygon") if area.attrib["fill"] == CALLER
    ]
    assert len(areas) == 2 and all(len(area.attrib["points"]) < 3000 for area in areas)


def test_each_event_says_when_it_was() -> None:
    record = record_of()
    record.events = [LoggedEvent(0.5 * at, 0.0, "server", kind, {}, 0, 0) for at, kind in enumerate(MARKS)]
    tips = {tip.text for tip in ET.fromstring(timeline_svg(record)).iter(f"{SVG}title")}
    assert {f"{kind} at {0.5 * at:.3f} s" for at, kind in enumerate(MARKS)} <= tips
    assert {legend for *_, legend in MARKS.values()} <= {*texts(ET.fromstring(timeline_svg(record)))}


@pytest.mark.parametrize(
    "turns",
    [[], [CallTurn(1, "hi", is_typed=True)], [CallTurn(1, "unanswered", start_s=0.5, end_s=1.0, problem="none")]],
    ids=["silence", "typed", "unanswered"],
)
def test_a_call_without_an_answer_is_drawn_too(turns: list[CallTurn]) -> None:
    assert "no spoken turn has a reply" in texts(ET.fromstring(timeline_svg(record_of(*turns))))


def test_an_empty_recording_is_drawn_too() -> None:
    picture = ET.fromstring(timeline_svg(CallRecord("url", "delivery", RATE_HZ)))
    assert "nan" not in ET.tostring(picture, encoding="unicode")


def test_no_two_parts_look_the_same() -> None:
    assert len({colour for colour, _ in LOOKS.values()}) == len(LOOKS)
