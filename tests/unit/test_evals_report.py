"""The report: plots from data alone, sentences where there is none, the worst calls with their words, audio and times."""

import re
from pathlib import Path

import msgspec
import pytest
from tests.kit.kits import CHOICE, without_words
from tests.kit.recorded import scenario, simulated, with_agent_line
from typer.testing import CliRunner

from agentvoicebox.cli.main import app
from agentvoicebox.evals.baseline import Baseline, compare
from agentvoicebox.evals.call_review import CallReview, review, worst
from agentvoicebox.evals.call_sound import CallSound, SoundBudget, sounds_in
from agentvoicebox.evals.metric import Metric
from agentvoicebox.evals.report_call import anchor, call_html
from agentvoicebox.evals.report_figures import figures, latency, lines_of_the_agent, outcomes, parts, tries
from agentvoicebox.evals.report_page import NOT_COMPARED, page, standing
from agentvoicebox.evals.score import Score, score
from agentvoicebox.interactions.day_files import DayFiles
from agentvoicebox.interactions.interaction import Interaction, Line, ToolUse, Wait, encode

pytestmark = pytest.mark.requirement("B3.4-3.5")

HAPPY, WITHOUT, UNKNOWN = (simulated(scenario(name)) for name in ("happy", "no_number", "unknown_id"))
PLANTED = with_agent_line(HAPPY, "is out for delivery", "has been delivered")
PROMISED = with_agent_line(HAPPY, "Is there anything else?", "I will look into it for you right away.")


def reviewed(*interactions: Interaction) -> list[CallReview]:
    found = score(interactions, scenarios={}, choice=CHOICE)
    return review(interactions, found, CHOICE)


def named(call: Interaction, call_id: str, *waits_ms: float, **fields: object) -> Interaction:
    waits = tuple(Wait(total_ms=ms, parts_ms={"stt": ms / 2, "tts": ms / 2}) for ms in waits_ms)
    return msgspec.structs.replace(call, call_id=call_id, scenario="", channel="realtime", waits=waits, **fields)


# -- which calls are the worst -------------------------------------------------------------------------------------------


def test_a_false_statement_is_worse_than_a_promise_and_both_than_a_call_that_found_nothing() -> None:
    calls = [named(each, name) for each, name in ((HAPPY, "a"), (UNKNOWN, "b"), (PROMISED, "c"), (PLANTED, "d"))]
    assert [each.interaction.call_id for each in worst(reviewed(*calls), 3)] == ["d", "c", "b"]


def test_the_reasons_say_what_is_against_a_call() -> None:
    planted, promised, silent = reviewed(PLANTED, named(PROMISED, "other"), WITHOUT)
    assert planted.reasons[0] == "1 unsupported statement" and planted.unsupported[0].reason == "another state"
    assert promised.reasons == ["1 promise"]
    assert silent.reasons == ["no number", "1 refusal"]


def test_of_calls_without_any_fault_the_slowest_is_shown() -> None:
    calls = [named(HAPPY, "quick", 300), named(HAPPY, "slow", 300, 2_000)]
    (shown,) = worst(reviewed(*calls), 1)
    assert (shown.interaction.call_id, shown.weight, shown.reasons) == ("slow", 0, [])
    assert "its slowest answer took 2000 ms" in call_html(shown, None)


def test_an_outcome_that_the_scenario_wants_is_not_held_against_the_call() -> None:
    down = simulated(scenario("backend_down"))
    wanted = {"backend_down": scenario("backend_down")}
    found = score([down], scenarios=wanted, choice=CHOICE)
    assert review([down], found, CHOICE, wanted)[0].weight == 0
    assert review([down], found, CHOICE)[0].weight > 0


# -- figures -------------------------------------------------------------------------------------------------------------


def test_one_outcome_is_a_sentence_and_two_are_a_plot_with_a_table() -> None:
    one = outcomes("call", reviewed(HAPPY, HAPPY))
    assert (one.svg, one.sentence) == ("", "All of them: confirmed and found.")
    two = outcomes("call", reviewed(HAPPY, HAPPY, UNKNOWN, UNKNOWN))
    assert "<svg" in two.svg and two.rows == (("confirmed and found", "2", "50 %"), ("not found", "2", "50 %"))


def test_tries_are_counted_up_to_the_right_number() -> None:
    def found_after(misses: int) -> Interaction:
        miss = ToolUse(name="get_delivery_status", arguments="{}", code="NOT_FOUND", output='{"code":"NOT_FOUND"}')
        hit = ToolUse(name="get_delivery_status", arguments="{}", code="FOUND", output='{"code":"FOUND"}')
        return msgspec.structs.replace(HAPPY, tool_calls=(*[miss] * misses, hit))

    assert tries(reviewed(HAPPY, UNKNOWN)).sentence == "Each of them took 1 try."
    assert tries(reviewed(UNKNOWN)).sentence == "No call came that far."
    drawn = tries(reviewed(found_after(0), found_after(0), found_after(0), found_after(2)))
    assert drawn.rows == (("1 try", "3", "75 %"), ("2 tries", "0", "75 %"), ("3 tries", "1", "100 %"))


def test_nothing_declined_promised_or_made_up_is_a_sentence() -> None:
    assert lines_of_the_agent(reviewed(HAPPY)).svg == ""
    drawn = lines_of_the_agent(reviewed(HAPPY, PROMISED, PLANTED, WITHOUT))
    assert [row[:2] for row in drawn.rows] == [
        ("declined something", "1 of 4"), ("promised in vain", "1 of 4"), ("unsupported statement", "1 of 4"),
    ]  # fmt: skip


def test_of_calls_without_words_it_is_said_that_refusals_are_not_known() -> None:
    assert "Words of 1 calls were not recorded" in lines_of_the_agent(reviewed(without_words(HAPPY), PROMISED)).sentence


@pytest.mark.parametrize("waits", [(500.0,), (500.0, 500.0, 500.0)])
def test_a_constant_latency_is_a_sentence(waits: tuple[float, ...]) -> None:
    found = latency("realtime", [named(HAPPY, "a", *waits)], {})
    assert found.svg == "" and "took 500 ms" in found.sentence


def test_measured_latencies_are_a_plot_with_its_numbers() -> None:
    found = latency("realtime", [named(HAPPY, "a", 100, 300)], {})
    assert "<svg" in found.svg and found.rows[0] == ("p50", "200 ms")


def test_a_simulation_has_no_plot_of_latency() -> None:
    shown = figures(reviewed(HAPPY, UNKNOWN), [HAPPY, UNKNOWN], None)
    assert [each.title for each in shown if "latency" in each.title.lower()] == ["Latency of simulated calls"]
    assert not any(each.svg for each in shown if "imulated" in each.title or "wait" in each.title)


def test_numbers_of_parts_stand_beside_the_plot_and_constant_parts_in_a_sentence() -> None:
    call = named(HAPPY, "a", 100, 300)
    waits = tuple(Wait(total_ms=each.total_ms, parts_ms={**each.parts_ms, "tool": 6.0}) for each in call.waits)
    found = parts("realtime", [msgspec.structs.replace(call, waits=waits)], {})
    assert "tool always 6 ms" in found.sentence and [row[0] for row in found.rows] == ["stt", "tts"]
    ends_px = [float(x) for x in re.findall(r"translate\(([\d.]+) ", found.svg)]
    numbers_px = [float(x) for x in re.findall(r'<text x="([\d.]+)"[^>]*>\d+</text>', found.svg)]
    assert max(ends_px) < min(x for x in numbers_px if x > 700)


# -- how a row stands ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("now", "before", "style"),
    [
        (Metric(name="x", value=1.0, unit="share", samples=9), None, "none"),
        (Metric(name="x", value=1.0, unit="share", samples=9), 1.0, ""),
        (Metric(name="x", value=1.0, unit="share", samples=9), 0.5, "good"),
        (Metric(name="x", value=0.5, unit="share", samples=9), 1.0, "bad"),
        (Metric(name="x", value=0.0, unit="count", samples=9, must_be=0.0), None, "good"),
        (Metric(name="x", value=0.0, unit="count", samples=0, must_be=0.0), None, "none"),
        (Metric(name="x.p99", value=9.0, unit="ms", samples=9), 9.0, "none"),
    ],
)
def test_a_row_where_nothing_was_compared_is_grey(now: Metric, before: float | None, style: str) -> None:
    old = None if before is None else msgspec.structs.replace(now, value=before)
    baseline = None if old is None else Baseline("", "", 1, {now.name: old})
    (change,) = compare(Score(1, {now.name: now}, ()), baseline)
    assert standing(change)[0] == style
    assert (standing(change)[1] == NOT_COMPARED) is (style == "none")


# -- one call ------------------------------------------------------------------------------------------------------------


def test_a_call_shows_its_words_with_the_false_ones_marked_and_a_row_for_each_answer() -> None:
    shown = call_html(reviewed(named(PLANTED, "sess_1", 400, 800))[0], None)
    assert "<mark>Your parcel ending in zero zero four has been delivered.</mark>" in shown
    assert "another state" in shown and "CONFIRM" in shown and "No audio of it was recorded." in shown
    assert "answer 2" in shown and "800 ms" in shown


def test_each_call_can_be_linked_to_and_is_linked_from_its_faults() -> None:
    call = named(PLANTED, "sess_1")
    found = score([call], scenarios={}, choice=CHOICE)
    whole = page(found, compare(found, None), made="now", worst=review([call], found, CHOICE))
    assert f'id="{anchor(call)}"' in whole and whole.count(f'href="#{anchor(call)}"') >= 3


def test_words_of_a_call_are_never_markup() -> None:
    lines = (Line(role="caller", text="<script>alert(1)</script>"), Line(role="agent", text="It's <b>lost</b>."))
    odd = msgspec.structs.replace(
        HAPPY, transcript=lines, call_id='"><script>', scenario="", agent="<i>", tool_calls=()
    )
    assert "<script" not in call_html(reviewed(odd)[0], CallSound("")) and "<b>" not in call_html(
        reviewed(odd)[0], None
    )


def test_without_words_a_call_shows_their_number_and_the_reasons() -> None:
    hidden = without_words(PLANTED)
    assert hidden.judgement is not None
    judged = msgspec.structs.replace(hidden.judgement, unfounded=("another state",))
    shown = call_html(reviewed(msgspec.structs.replace(hidden, judgement=judged))[0], None)
    assert "words, not recorded" in shown and "another state" in shown


# -- audio ---------------------------------------------------------------------------------------------------------------


def test_audio_is_found_by_the_name_of_its_call_and_becomes_part_of_the_page(tmp_path: Path) -> None:
    (tmp_path / "sess_1.ogg").write_bytes(b"OggS")
    (tmp_path / "sess_2.txt").write_bytes(b"no audio")
    found = sounds_in(tmp_path, ["sess_1", "sess_2", "../sess_1"], SoundBudget())
    assert found == {"sess_1": CallSound("data:audio/ogg;base64,T2dnUw==")}
    assert '<audio controls preload=none src="data:audio/ogg' in call_html(reviewed(HAPPY)[0], found["sess_1"])


def test_audio_that_is_too_long_for_a_page_is_named_instead() -> None:
    found = SoundBudget().sound(bytes(7_000_000), ".wav", "calls/sess_1.wav")
    assert found.url == "" and "calls/sess_1.wav" in call_html(reviewed(HAPPY)[0], found)


# -- the command ---------------------------------------------------------------------------------------------------------


def test_the_first_report_needs_no_baseline_and_shows_as_many_calls_as_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    files = DayFiles(tmp_path / "calls")
    for number, call in enumerate((HAPPY, UNKNOWN, WITHOUT)):
        files.append(encode(named(call, f"sess_{number}", 100.0 + number)), call.began_s)
    (tmp_path / "calls" / "audio").mkdir()
    (tmp_path / "calls" / "audio" / "sess_1.ogg").write_bytes(b"OggS")
    result = CliRunner().invoke(app, ["eval", "report", "calls", "--worst", "2"])
    assert result.exit_code == 0, result.output
    whole = (tmp_path / "eval-report.html").read_text()
    assert whole.count("<section class=call") == 2 and whole.count("<audio") == 1
    assert "<script" not in whole and not re.findall(r'(?:src|href)="?https?:', whole)
