"""Scores and reports: what was planted is caught and named, what is honest is left alone."""

import json
import re
import shutil
from functools import cache
from pathlib import Path

import msgspec
import pytest
from tests.kit.kits import AGENTS, CHOICE, without_words
from tests.kit.logs import unchanged_logging
from tests.kit.recorded import NOON_S, scenario, simulated, with_agent_line
from typer.testing import CliRunner, Result

from agentvoicebox.cli.main import app
from agentvoicebox.evals.baseline import Baseline, Change, compare
from agentvoicebox.evals.metric import Metric, Unit
from agentvoicebox.evals.replay import replay_tools
from agentvoicebox.evals.scenario import load
from agentvoicebox.evals.score import Score, score
from agentvoicebox.evals.simulation import Simulation, Timing
from agentvoicebox.interactions.day_files import DayFiles
from agentvoicebox.interactions.interaction import Interaction, encode
from agentvoicebox_delivery.parcels import track

pytestmark = pytest.mark.requirement("B3.4-3.5")

SCENARIOS = {each.name: each for each in load(CHOICE.default.scenarios)}
runner = CliRunner()


def written(folder: Path, *interactions: Interaction) -> Path:
    files = DayFiles(folder)
    for each in interactions:
        files.append(encode(each), each.began_s)
    return folder


@cache
def everything(timing: Timing | None = None) -> tuple[Interaction, ...]:
    """Every scenario once. Interactions are never changed, so the tests share them."""
    return tuple(simulated(each, timing=timing) for each in SCENARIOS.values())


def words(text: str) -> str:
    """Without the line breaks that depend on the terminal's width."""
    return " ".join(text.split())


@pytest.fixture(scope="module")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A baseline of the honest calls, made by the command."""
    folder = tmp_path_factory.mktemp("baseline")
    with unchanged_logging():
        result = report(written(folder / "honest", *everything()), folder / "baseline.json", "--update-baseline")
    assert result.exit_code == 0, result.output
    return folder / "baseline.json"


@pytest.fixture
def baseline(made_once: Path, tmp_path: Path) -> Path:
    """The test's own copy, beside which its report is written."""
    return Path(shutil.copy(made_once, tmp_path / "baseline.json"))


def report(recorded: Path, baseline: Path, *more: str) -> Result:
    html = str(baseline.with_suffix(".html"))
    return runner.invoke(app, ["eval", "report", str(recorded), "--baseline", str(baseline), "--html", html, *more])


def test_an_honest_run_regresses_in_nothing(tmp_path: Path, baseline: Path) -> None:
    result = report(written(tmp_path / "again", *everything()), baseline)
    assert (result.exit_code, "No regression." in result.output) == (0, True)


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("happy", "arrive today", "arrive tomorrow"),
        ("correction", "on Thursday", "on Friday"),
        ("happy", "is out for delivery", "has been delivered"),
        ("happy", "ending in zero zero four", "ending in zero zero five"),
        ("correction", "on its way", "on its way with UPS"),
        ("correction", "in Leipzig", "in Bristol"),
        ("backend_down", "I can't reach the tracking system right now", "your parcel is on its way"),
        ("unknown_id", "I couldn't find a parcel", "I found a parcel"),
    ],
)
def test_a_planted_hallucination_is_caught_and_named(
    tmp_path: Path, baseline: Path, name: str, old: str, new: str
) -> None:
    planted = [with_agent_line(each, old, new) if each.scenario == name else each for each in everything()]
    result = report(written(tmp_path / "planted", *planted), baseline)
    assert result.exit_code == 1
    assert "hallucination.count: 1, before 0, must be 0" in result.output
    assert re.search(r"regressed:.*hallucination\.count", result.output)
    # Also without a baseline.
    assert runner.invoke(app, ["eval", "score", str(tmp_path / "planted")]).exit_code == 1


@pytest.mark.parametrize("part", ["stt", "dialogue", "tool", "tts"])
def test_a_part_that_became_300_ms_slower_is_caught_even_where_it_is_hidden(
    tmp_path: Path, baseline: Path, part: str
) -> None:
    slower = msgspec.structs.replace(Timing(), **{f"{part}_ms": getattr(Timing(), f"{part}_ms") + 300})
    result = report(written(tmp_path / "slow", *everything(slower)), baseline)
    assert result.exit_code == 1
    regressed = result.output.rsplit("regressed:", 1)[1]
    assert f"latency.rehearsal.work.{part}.p50" in " ".join(regressed.split())
    others = {"stt", "dialogue", "tool", "tts"} - {part}
    assert not any(f"work.{other}." in regressed for other in others)


def test_a_line_that_was_never_told_costs_accuracy(tmp_path: Path, baseline: Path) -> None:
    sentence = "Your parcel ending in zero zero four is out for delivery."
    silent = [
        with_agent_line(each, sentence, "Thank you.") if each.scenario == "happy" else each for each in everything()
    ]
    found = score(silent, scenarios=SCENARIOS, choice=CHOICE)
    assert found.metrics["accuracy.told"].value < 1 and found.metrics["accuracy.expected"].value < 1
    whats = [fault.what for fault in found.faults]
    assert "the agent did not state that PKG004 is out_for_delivery" in whats
    assert report(written(tmp_path / "silent", *silent), baseline).exit_code == 1


def test_a_backend_that_fails_where_no_scenario_wants_it_costs_tool_success() -> None:
    down = msgspec.structs.replace(scenario("happy"), backend="down", name="unplanned")
    found = score([simulated(down), simulated(scenario("backend_down"))], scenarios=SCENARIOS, choice=CHOICE)
    assert found.metrics["tool.success"].value == 0.5
    assert [fault.scenario for fault in found.faults_of("tool.success")] == ["unplanned"]


def test_hallucinations_are_known_also_of_calls_whose_words_were_not_kept() -> None:
    honest = simulated(scenario("happy"))
    assert honest.judgement is not None
    planted = msgspec.structs.replace(
        honest, judgement=msgspec.structs.replace(honest.judgement, unfounded=("another day of arrival",))
    )
    found = score([without_words(honest), without_words(planted)], scenarios=SCENARIOS, choice=CHOICE)
    assert found.metrics["hallucination.count"].value == 1
    assert found.faults_of("hallucination.count")[0].what == "another day of arrival"
    assert found.metrics["accuracy.told"].value == 1.0


def test_what_was_recorded_without_results_of_tools_is_no_hallucination() -> None:
    honest = simulated(scenario("unknown_id"))
    callers_side = msgspec.structs.replace(honest, log=(), tool_calls=(), judgement=None)
    found = score([callers_side], scenarios={}, choice=CHOICE)
    assert (found.metrics["hallucination.count"].value, found.metrics["hallucination.count"].samples) == (0, 0)
    planted = with_agent_line(honest, "I couldn't find a parcel", "I found a parcel")
    assert score([planted], scenarios={}, choice=CHOICE).metrics["hallucination.count"].value == 1


async def test_a_tool_core_that_answers_otherwise_is_found() -> None:
    interaction = await Simulation(scenario("happy"), AGENTS, CHOICE, wall_s=NOON_S).play()
    replays = await replay_tools(interaction, CHOICE.default)
    assert replays and {(each.verdict, each.why) for each in replays} == {("same", "")}

    async def other(name: str, arguments: str) -> str:
        return track.LookupOutcome(track.NOT_FOUND, "I couldn't find it.").as_json()

    *_, different = await replay_tools(interaction, CHOICE.default, run_tool=other)
    assert (different.verdict, different.why) == ("different", "FOUND then, NOT_FOUND now")
    *_, masked = await replay_tools(without_words(interaction), CHOICE.default)
    assert masked.verdict == "impossible" and "AVB_RECORD_WORDS" in masked.why


# -- the rules of comparison -----------------------------------------------------------------------------------------


def judged(
    unit: Unit, before: float | None, now: float | None, name: str = "x", samples: int = 200, **more: float
) -> str:
    old = {} if before is None else {name: Metric(name=name, value=before, unit=unit, samples=samples, **more)}
    new = {} if now is None else {name: Metric(name=name, value=now, unit=unit, samples=samples, **more)}
    (change,) = compare(Score(1, new, ()), Baseline("", "", 1, old))
    assert isinstance(change, Change)
    return change.judged


@pytest.mark.parametrize(
    ("unit", "before", "now", "wanted"),
    [
        ("ms", 100, 139, "same"),  # more than 15 %, less than 40 ms
        ("ms", 1000, 1100, "same"),  # more than 40 ms, less than 15 %
        ("ms", 100, 141, "worse"),
        ("ms", 141, 100, "better"),
        ("share", 1.0, 0.99, "worse"),
        ("share", 0.9, 0.95, "better"),
        ("count", 0, 1, "worse"),
        ("count", 2, 2, "same"),
        ("count", None, 2, "new"),
        ("count", 2, None, "gone"),
    ],
)
def test_what_counts_as_worse(unit: Unit, before: float | None, now: float | None, wanted: str) -> None:
    assert judged(unit, before, now) == wanted


def test_what_must_never_be_is_bad_even_if_it_always_was() -> None:
    assert judged("count", 3, 3, must_be=0.0) == "bad"


def test_a_p99_of_few_samples_and_unread_clauses_judge_nothing() -> None:
    assert judged("ms", 100, 900, "latency.realtime.total.p99", samples=99) == "same"
    assert judged("ms", 100, 900, "latency.realtime.total.p99", samples=100) == "worse"
    assert judged("count", 0, 9, "hallucination.unread") == "same"


# -- the report ------------------------------------------------------------------------------------------------------


def test_the_page_needs_nothing_but_itself_and_shows_no_markup_of_a_call(tmp_path: Path, baseline: Path) -> None:
    planted = with_agent_line(
        simulated(scenario("happy")), "Is there anything else?", "<script>alert(1)</script> It is lost."
    )
    report(written(tmp_path / "odd", planted), baseline)
    page = baseline.with_suffix(".html").read_text()
    assert "<script" not in page
    assert "<svg" in page
    assert not re.findall(r"""(?:src|href)\s*=\s*["']?(?!#)(?:https?:)?//""", page.replace("xlink:href", "href"))


def test_a_missing_or_foreign_baseline_is_told_in_a_sentence(tmp_path: Path) -> None:
    recorded = written(tmp_path / "calls", simulated(scenario("happy")))
    result = report(recorded, tmp_path / "none.json")
    assert result.exit_code == 1 and "--update-baseline" in words(result.output)
    (tmp_path / "bad.json").write_text(json.dumps({"metrics": 3}))
    result = report(recorded, tmp_path / "bad.json")
    assert result.exit_code == 1 and "can't be read" in words(result.output)


def test_the_commands_go_from_scenarios_to_a_report(tmp_path: Path) -> None:
    out = str(tmp_path / "calls")
    assert runner.invoke(app, ["eval", "record", "--out", out, "--today", "2026-11-24"]).exit_code == 0
    replayed = runner.invoke(app, ["eval", "replay", out])
    assert replayed.exit_code == 0 and f"{len(SCENARIOS)} of {len(SCENARIOS)} the same" in replayed.output
    masked = str(tmp_path / "masked")
    assert runner.invoke(app, ["eval", "record", "--out", masked, "--no-words"]).exit_code == 0
    replayed = runner.invoke(app, ["eval", "replay", masked])
    assert replayed.exit_code == 0 and "ids are masked" in " ".join(replayed.output.split())
    for line in (tmp_path / "masked").rglob("*.jsonl"):
        assert "PKG00" not in line.read_text() and "parcel" not in line.read_text()
    assert runner.invoke(app, ["eval", "score", str(tmp_path / "nothing")]).exit_code == 1
