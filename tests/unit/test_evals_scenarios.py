"""Scenarios: the file format names its faults, and the built-in ones come out as they say."""

import pytest
from tests.kit.kits import CHOICE
from tests.kit.recorded import NOON_S, simulated

from agentvoicebox.evals.scenario import BadScenario, Scenario, load, parse
from agentvoicebox.evals.scorers.accuracy import missed
from agentvoicebox.interactions.interaction import encode

pytestmark = pytest.mark.requirement("C14")

ALL = load(CHOICE.default.scenarios)
DAY_S = 86_400.0


@pytest.mark.parametrize("scenario", ALL, ids=[each.name for each in ALL])
def test_a_built_in_scenario_comes_out_as_it_expects(scenario: Scenario) -> None:
    interaction = simulated(scenario)
    assert missed(interaction, scenario, CHOICE.default) == []
    assert interaction.invariant_broken == ""
    assert interaction.judgement is not None and interaction.judgement.unfounded == ()
    assert interaction.responses and set(interaction.responses) <= {"completed", "cancelled"}


@pytest.mark.parametrize("days", [1, 40, 200])
def test_expectations_hold_on_any_day(days: int) -> None:
    for scenario in ALL:
        assert missed(simulated(scenario, wall_s=NOON_S + days * DAY_S), scenario, CHOICE.default) == []


def test_a_simulation_is_the_same_to_the_byte_each_time() -> None:
    scenario = next(each for each in ALL if each.name == "interruption")
    assert encode(simulated(scenario)) == encode(simulated(scenario))


def test_an_interruption_cuts_the_reply_where_it_was_heard() -> None:
    interaction = simulated(next(each for each in ALL if each.name == "interruption"))
    cut = [line for line in interaction.transcript if line.is_cut]
    assert len(cut) == 1 and 0 < cut[0].words < 8
    assert "cancelled" in interaction.responses or "completed" in interaction.responses


def test_there_are_scenarios_of_each_kind() -> None:
    assert {
        "happy", "unknown_id", "correction", "interruption", "mumble", "no_number", "phone_line", "backend_down",
    } <= {each.name for each in ALL}  # fmt: skip


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('about = "x"', "`line`"),
        ('about = "x"\nline = []', "says nothing"),
        ('about = "x"\n[[line]]', "exactly one of say, type and wav"),
        ('about = "x"\n[[line]]\nsay = "a"\ntype = "b"', "exactly one"),
        ('about = "x"\n[[line]]\nsays = "a"', "says"),
        ('about = "x"\naudio = "mp3"\n[[line]]\nsay = "a"', "mp3"),
        ('about = "x"\n[[line]]\nsay = "a"\n[expect]\ncode = ["FOUND"]', "code"),
        ('about = "x', "nterminated"),
    ],
)
def test_a_fault_of_a_file_is_named_with_the_file(text: str, told: str) -> None:
    with pytest.raises(BadScenario) as caught:
        parse(text, name="mine")
    assert "scenario mine" in caught.value.message and told in caught.value.message
