"""The example kit of `examples/clinic-kit`: its tools, dialogue, grounding and judge, in process."""

import json
import sqlite3
from collections.abc import AsyncIterator, Sequence
from contextlib import closing
from datetime import date
from pathlib import Path

import pytest
from tests.kit.memory_ledger import MemoryLedger

from agentvoicebox.agents import Agents
from agentvoicebox.engine.inputs import Generated, TextDelta, ToolCallDelta
from agentvoicebox.engine.jobs import CallTool, ChatMessage, Generate, ToolSpec
from agentvoicebox.errors import SettingsError
from agentvoicebox.evals import scenario
from agentvoicebox.evals.kit_choice import KitChoice
from agentvoicebox.evals.replay import replay_all
from agentvoicebox.evals.scenario import Scenario
from agentvoicebox.evals.simulation import Simulation
from agentvoicebox.interactions.interaction import Interaction, Line, ToolUse
from agentvoicebox.kits.registry import load_kits, load_settings
from agentvoicebox.ports.broker import SessionRef
from agentvoicebox.tools.definition import OUTCOME_UNKNOWN, TOOL_TIMEOUT, ToolContext
from agentvoicebox.tools.registry import Registry
from agentvoicebox.workers.tool import ToolWork
from agentvoicebox_clinic.appointments import EXAMPLES, MemoryBook, SqliteBook, read_appointments, reference_in
from agentvoicebox_clinic.demo import ClinicDemo
from agentvoicebox_clinic.dialogue import CONFIRM, GOODBYE, HELLO, KEPT, next_move
from agentvoicebox_clinic.grounded import GroundedClinic
from agentvoicebox_clinic.tools import ASK, CANCEL, FIND, SORRY, clinic_tools

CLINIC = load_kits(("agentvoicebox_clinic.kit:ClinicKit",))
JUDGE = CLINIC.judge_of([FIND.name])
REFERENCE = "305917"
TOLD = "Your appointment at the clinic is on Tuesday at 9:30 with Doctor Lee."
CALLER = ToolContext("default", "sess_1", "call_1")


def registry(book: SqliteBook | MemoryBook | None = None) -> Registry:
    return Registry(clinic_tools(book or MemoryBook(EXAMPLES), "the clinic"))


async def output(name: str = FIND.name, reference: str = REFERENCE) -> str:
    return (await registry().run(name, {"reference": reference}, CALLER)).output


# -- the tools ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text", ["305917", "305-917", "It's three, zero, five, nine, one, seven.", "three oh five 9 1 7", "3 0 5 9 1 7"]
)
def test_a_reference_number_is_read_as_it_is_typed_and_as_it_is_said(text: str) -> None:
    assert reference_in(text) == REFERENCE


@pytest.mark.parametrize("text", ["", "30591", "3059178", "On Tuesday at 9:30", "three zero five"])
def test_other_numbers_are_no_reference(text: str) -> None:
    assert reference_in(text) is None


async def test_a_result_holds_the_facts_and_no_name_of_a_patient() -> None:
    outcome = await registry().run(FIND.name, '{"reference": 305917}', CALLER)
    assert (outcome.code, outcome.status, outcome.speech) == ("FOUND", "success", TOLD)
    assert outcome.data["day"] == "Tuesday" and "Marin" not in outcome.output


@pytest.mark.parametrize(
    ("book", "arguments", "code"),
    [
        (MemoryBook(EXAMPLES), {"reference": "000000"}, "NOT_FOUND"),
        (MemoryBook(EXAMPLES), {"reference": "soon"}, "INVALID"),
        (MemoryBook(EXAMPLES), {}, "INVALID"),
    ],
)
async def test_each_outcome_has_a_code_and_a_sentence(book: MemoryBook, arguments: dict[str, str], code: str) -> None:
    for name in (FIND.name, CANCEL.name):
        outcome = await registry(book).run(name, arguments, CALLER)
        assert (outcome.code, outcome.speech) == (code, SORRY[code]) and code in FIND.codes


async def test_a_book_that_is_away_is_a_failure_with_a_sentence_of_the_agent() -> None:
    outcome = await registry(MemoryBook(None)).run(FIND.name, {"reference": REFERENCE}, CALLER)
    assert outcome.is_error and outcome.code == "tool_unavailable"
    assert FIND.failed is not None and FIND.failed(outcome.code).speech == SORRY["UNAVAILABLE"]
    assert FIND.failed(TOOL_TIMEOUT).code == "UNAVAILABLE" and FIND.failed(OUTCOME_UNKNOWN).code == "UNKNOWN"


async def test_a_call_that_comes_again_cancels_once(tmp_path: Path) -> None:
    path = tmp_path / "clinic.sqlite"
    work = ToolWork(registry(SqliteBook(path, EXAMPLES)), MemoryLedger())
    session, request = (
        SessionRef("default", "sess_1"),
        CallTool("resp_1", "call_1", CANCEL.name, '{"reference":"305917"}'),
    )
    first, second = await work.run(session, request), await work.run(session, request)
    assert first == second and json.loads(first)["code"] == "CANCELLED"
    assert cancellations(path) == [(REFERENCE, "sess_1", "call_1")]


async def test_all_processes_see_one_book_and_a_restart_keeps_it(tmp_path: Path) -> None:
    path = tmp_path / "clinic.sqlite"
    one, other = SqliteBook(path, EXAMPLES), SqliteBook(path, EXAMPLES)
    await one.cancel(REFERENCE, "sess_1", "call_1")
    for book in (other, SqliteBook(path, EXAMPLES)):
        found = await book.find(REFERENCE)
        assert found is not None and found.is_cancelled


def test_a_book_of_ones_own_comes_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "book.json"
    path.write_text('[{"reference":"111222","patient":"P","day":"Monday","time":"8:00","doctor":"Roe"}]')
    assert [each.doctor for each in read_appointments(str(path))] == ["Roe"]
    path.write_text("[{}]")
    with pytest.raises(SettingsError, match="AVB_CLINIC_BOOK"):
        read_appointments(str(path))


def cancellations(path: Path) -> list[tuple[str, str, str]]:
    with closing(sqlite3.connect(path)) as database:
        return database.execute("SELECT * FROM cancellations").fetchall()


# -- the dialogue ------------------------------------------------------------------------------------------------------


def chat(*lines: str) -> list[ChatMessage]:
    """`> …` is the caller, `{…}` a result, the rest the agent."""
    return [
        ChatMessage("user", line[2:])
        if line.startswith("> ")
        else ChatMessage("tool" if line.startswith("{") else "assistant", line)
        for line in lines
    ]


async def test_the_dialogue_asks_looks_up_reports_and_asks_before_it_cancels() -> None:
    found, cancelled = await output(), await output(CANCEL.name)
    call = [f"> {REFERENCE}", found, TOLD]
    assert next_move([]) == HELLO
    assert next_move(chat("> When is my appointment?")) == ASK
    assert next_move(chat("> It's three zero five nine one seven")) == (FIND.name, REFERENCE)
    assert next_move(chat(f"> {REFERENCE}", found)) == TOLD
    assert next_move(chat(f"> Cancel {REFERENCE}", found)) == f"{TOLD} {CONFIRM}"
    assert next_move(chat(*call, "> I must cancel")) == f"{TOLD} {CONFIRM}"
    asked = [*call, "> I must cancel", f"{TOLD} {CONFIRM}"]
    assert next_move(chat(*asked, "> Yes.")) == (CANCEL.name, REFERENCE)
    assert next_move(chat(*asked, "> No, don't.")) == KEPT
    assert next_move(chat(*asked, "> Yes.", cancelled)).endswith("is cancelled.")  # type: ignore[union-attr]
    assert next_move(chat(*call, "> Thank you, bye")) == GOODBYE


def test_a_number_with_pauses_in_it_is_one_number() -> None:
    assert next_move(chat("> It's three.", "> 0, 5.", "", "> 9. 1.", "> 7.")) == (FIND.name, REFERENCE)


async def test_a_yes_to_a_question_that_was_not_heard_cancels_nothing() -> None:
    said = [f"> {REFERENCE}", await output(), TOLD, "> I must cancel", "Your appointment at", "> Yes."]
    assert next_move(chat(*said)) == ASK


async def test_a_failure_of_the_platform_is_said_in_words_of_the_agent() -> None:
    assert next_move(chat("> 305917", '{"error":"outcome_unknown"}')) == SORRY["UNKNOWN"]
    assert next_move(chat("> 305917", '{"error":"tool_timeout"}')) == SORRY["UNAVAILABLE"]


# -- the judge and the grounding ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "reasons"),
    [
        (TOLD, []),
        ("It's Tuesday at nine thirty. Dr. Lee will see you.", []),
        ("It is on Tuesday with Doctor Okafor.", ["unsupported: doctor"]),
        ("It is on Friday at half past. Or at 10:30.", ["unsupported: day", "unsupported: time"]),
        ("Done, your appointment is cancelled.", ["unsupported: state"]),
    ],
)
async def test_the_judge_catches_what_no_tool_returned(said: str, reasons: list[str]) -> None:
    lines = [Line(role="caller", text=REFERENCE), Line(role="agent", text=said)]
    use = ToolUse(name=FIND.name, arguments="{}", output=await output(), code="FOUND", line=1)
    assert JUDGE is not None
    assert [each.reason for each in JUDGE.read(lines, [use], date.min).findings] == reasons
    assert JUDGE.reported(lines, [use]) == ["Tuesday" in said]


async def test_the_judge_knows_facts_only_from_results_that_came_before() -> None:
    lines = [Line(role="agent", text=TOLD), Line(role="agent", text=TOLD)]
    use = ToolUse(name=FIND.name, arguments="{}", output=await output(), code="FOUND", line=1)
    assert JUDGE is not None
    assert [each.line for each in JUDGE.read(lines, [use], date.min).findings] == [0]


async def test_the_judge_catches_a_tool_whose_sentence_is_not_its_data() -> None:
    true = await output()
    assert JUDGE is not None
    for text, faults in ((true, []), (true.replace("Doctor Lee", "Doctor Okafor"), ["unsupported: doctor"])):
        use = ToolUse(name=FIND.name, arguments="{}", output=text, code="FOUND")
        assert JUDGE.speech_faults(use, date.min) == faults and JUDGE.counts_claim(use)


class Scripted:
    """A language model that says these pieces."""

    def __init__(self, *pieces: str) -> None:
        self._pieces = pieces

    async def generate(self, request: Generate, job_id: str) -> AsyncIterator[TextDelta | ToolCallDelta | Generated]:
        for piece in self._pieces:
            yield TextDelta(job_id, piece)
        yield Generated(job_id, "stop")

    async def check(self) -> None: ...


async def heard(pieces: Sequence[str], messages: Sequence[ChatMessage], *, tool: str = FIND.name) -> str:
    request = Generate("resp_1", "openai", "", tuple(messages), (ToolSpec(tool),))
    deltas = [delta async for delta in GroundedClinic(Scripted(*pieces)).generate(request, "job_1")]
    assert isinstance(deltas[-1], Generated)
    return "".join(delta.text for delta in deltas if isinstance(delta, TextDelta))


async def test_a_wrong_sentence_of_a_model_becomes_the_tools_own_once() -> None:
    messages = chat(f"> {REFERENCE}", await output())
    pieces = ["Of ", "course. ", "You see Dr", ". Okafor", " on Friday. At 10:30", ". Good", "bye!"]
    assert await heard(pieces, messages) == f"Of course. {TOLD} Goodbye!"
    assert await heard(["It is on Tue", "sday at 9:30. ", "Anything else?"], messages) == (
        "It is on Tuesday at 9:30. Anything else?"
    )


async def test_without_a_result_a_model_can_only_ask() -> None:
    assert await heard(["I have cancelled it."], chat("> Cancel it")) == ASK


async def test_a_model_of_another_agent_passes_unchanged() -> None:
    pieces = ["It comes ", "on Friday. ", " With Doctor Who.  "]
    assert await heard(pieces, chat("> Where is it?"), tool="get_delivery_status") == "".join(pieces)


# -- the whole kit -----------------------------------------------------------------------------------------------------


async def play(choice: KitChoice) -> tuple[Scenario, Interaction]:
    (each,) = scenario.load(choice.default.scenarios, lambda _, fact: choice.default.fact_fault(fact))
    return each, await Simulation(each, Agents(kits=CLINIC), choice, wall_s=1.7e9).play()


async def test_its_scenario_goes_as_expected_and_replays_the_same() -> None:
    choice = KitChoice(CLINIC)
    each, played = await play(choice)
    assert tuple(use.code for use in played.tool_calls) == each.expect.codes
    said = [line.text for line in played.transcript if line.role == "agent"]
    assert [choice.default.unmet(fact, said, date.min, with_days=True) for fact in each.expect.facts] == [""]
    assert played.judgement is not None
    assert (played.judgement.unfounded, played.judgement.due, played.judgement.reported) == ((), 2, 2)
    assert {replay.verdict for replay in await replay_all([played], choice)} == {"same"}


async def test_a_replay_against_the_real_book_finds_but_never_cancels(tmp_path: Path) -> None:
    choice = KitChoice(CLINIC)
    _, played = await play(choice)
    settings = load_settings(kits="agentvoicebox_clinic.kit:ClinicKit", data_dir=str(tmp_path))
    async with choice.default.live(settings) as run_tool:
        replays = await replay_all([played], choice, run_tools={"clinic": run_tool})
    tools = [(replay.verdict, replay.why) for replay in replays if replay.what == "tool"]
    assert tools == [("same", ""), ("impossible", "it has an effect, so a replay does not run it")]
    assert cancellations(tmp_path / "clinic.sqlite") == []


def test_its_demo_accepts_the_truth_and_nothing_else() -> None:
    assert ClinicDemo().faults(TOLD) == []
    assert ClinicDemo().faults(TOLD.replace("Lee", "Okafor")) == ["the agent never said the doctor: lee"]


def test_logs_and_records_mask_a_reference_number() -> None:
    masked = CLINIC.identifier_mask.arguments({"reference": REFERENCE})
    assert masked == {"reference": "**5917"}
