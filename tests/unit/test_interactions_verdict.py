"""The recorder judges each ended session once, and tells what its replay showed without a word of it."""

from pathlib import Path

import msgspec
import pytest
from tests.kit.recorded import random_script, scenario, simulated, taped

from agentvoicebox.interactions.interaction import Judgement
from agentvoicebox.interactions.recorder import InteractionRecorder
from agentvoicebox.interactions.rerun import NotALog
from agentvoicebox.interactions.tape import Tape
from agentvoicebox.interactions.verdict import IMPOSSIBLE, ReplayVerdict, verdict_of


class Heard:
    """Keeps verdicts as they come."""

    def __init__(self) -> None:
        self.verdicts: list[tuple[Tape, ReplayVerdict]] = []

    def __call__(self, tape: Tape, verdict: ReplayVerdict) -> None:
        self.verdicts.append((tape, verdict))


def judged(tape: Tape, folder: Path) -> ReplayVerdict:
    heard = Heard()
    InteractionRecorder(folder, on_verdict=heard).finished(tape)
    ((of, verdict),) = heard.verdicts
    assert of is tape
    return verdict


def test_a_session_that_replays_to_the_same_effects_is_the_same(tmp_path: Path) -> None:
    verdict = judged(taped(0, random_script(1)), tmp_path)
    assert (verdict.replay, verdict.invariant_broken) == ("same", None)
    assert verdict.claims is None, "nobody judges this agent"


def test_a_session_whose_effects_were_others_differs(tmp_path: Path) -> None:
    tape = taped(0, random_script(1))
    tape.digests[0] ^= 1
    assert judged(tape, tmp_path).replay == "differs"


def test_the_replay_of_a_recording_with_gaps_is_impossible(tmp_path: Path) -> None:
    tape = taped(0, random_script(1))
    tape.is_whole = False
    assert judged(tape, tmp_path).replay == "impossible"
    heard = Heard()
    InteractionRecorder(tmp_path, on_verdict=heard).give_up(tape)
    assert heard.verdicts == [(tape, IMPOSSIBLE)]


def test_a_recording_that_is_no_log_has_a_verdict_too(tmp_path: Path) -> None:
    heard = Heard()
    with pytest.raises(NotALog):
        InteractionRecorder(tmp_path, on_verdict=heard).finished(Tape())
    assert [verdict for _, verdict in heard.verdicts] == [IMPOSSIBLE]


def test_a_verdict_counts_what_the_judge_found() -> None:
    interaction = simulated(scenario("happy"))
    judgement = Judgement(claims=5, unfounded=("no such status",), unread=2, due=3, reported=1)
    found = verdict_of(msgspec.structs.replace(interaction, judgement=judgement), is_same=True)
    assert found == ReplayVerdict(
        replay="same", claims=5, unfounded=1, due=3, reported=1, tool_calls=len(interaction.tool_calls)
    )
    broken = msgspec.structs.replace(interaction, invariant_broken="one response at a time")
    assert verdict_of(broken, is_same=False).invariant_broken == "one response at a time"
