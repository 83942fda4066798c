"""Scenarios against a real gateway and Valkey: the session's own log, read from the store, replays to the byte."""

import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
from msgspec import UNSET
from tests.kit.gateway import Gateway, Workers, calls_tool
from tests.kit.kits import CHOICE, without_words
from tests.kit.recorded import scenario, simulated
from tests.kit.silent_server import silent_server
from tests.kit.waiting import PATIENCE_S

from agentvoicebox.clock import ManualClock
from agentvoicebox.engine.jobs import Generate, Synthesise
from agentvoicebox.evals.call_sound import SoundBudget, sounds_in, write_sound
from agentvoicebox.evals.live_run import LiveRun, TooManyFailures
from agentvoicebox.evals.play import StoreLogs, play
from agentvoicebox.evals.replay import Replay, replay_effects
from agentvoicebox.evals.replay_live import replay_lines
from agentvoicebox.evals.scenario import Tolerance, parse
from agentvoicebox.interactions.day_files import DayFiles
from agentvoicebox.interactions.interaction import Interaction, decode, encode
from agentvoicebox.realtime_client.dialing import CallOptions, CallUnreachable

pytestmark = pytest.mark.requirement("C5")

HAPPY = simulated(scenario("happy"))

ASKS = parse('about = "x"\n[[line]]\ntype = "Where is PKG004?"\n[[line]]\ntype = "Thanks"', name="asks")
SAYS = "Your parcel ending in zero zero four is out for delivery."


@pytest.fixture
async def logs(redis_url: str) -> AsyncIterator[StoreLogs]:
    store = StoreLogs(redis_url)
    yield store
    await store.close()


async def test_a_live_call_is_kept_with_its_log_and_replays(served: Gateway, workers: Workers, logs: StoreLogs) -> None:
    workers.writes = calls_tool("get_delivery_status", '{"tracking_id":"PKG004"}', SAYS)
    options = CallOptions(base_url=f"http://127.0.0.1:{served.port}/v1")
    interaction = decode(encode(await play(ASKS, [None, None], options, log_of=logs)))
    assert [(line.role, line.text, line.is_typed) for line in interaction.transcript][:2] == [
        ("caller", "Where is PKG004?", True),
        ("agent", SAYS, False),
    ]
    assert interaction.tool_calls[0].arguments == '{"tracking_id":"PKG004"}'
    assert interaction.tool_calls[0].took_ms is not None and len(interaction.waits) == 2
    assert replay_effects(interaction).verdict == "same"  # type: ignore[union-attr]
    assert replay_effects(without_words(interaction)).verdict == "same"  # type: ignore[union-attr]


async def test_the_audio_of_a_played_call_is_found_again_by_its_session(
    served: Gateway, workers: Workers, logs: StoreLogs, tmp_path: Path
) -> None:
    options = CallOptions(base_url=f"http://127.0.0.1:{served.port}/v1")
    written: list[Path] = []
    call = await play(
        ASKS, [None, None], options, log_of=logs, on_record=lambda record: written.append(write_sound(record, tmp_path))
    )
    assert [path.name for path in written] == [f"{call.call_id}.ogg"]
    assert written[0].stat().st_mode & 0o777 == 0o600 and written[0].read_bytes()[:4] == b"OggS"
    assert sounds_in(tmp_path, [call.call_id], SoundBudget())[call.call_id].url.startswith("data:audio/ogg;base64,")


async def test_a_spoken_line_is_replayed_as_its_transcript_and_a_typed_one_as_typed(
    served: Gateway, workers: Workers, logs: StoreLogs
) -> None:
    workers.writes = calls_tool("get_delivery_status", '{"tracking_id":"PKG004"}', SAYS)
    options = CallOptions(base_url=f"http://127.0.0.1:{served.port}/v1")
    typed = await play(ASKS, [None, None], options, log_of=logs)
    spoken = msgspec.structs.replace(typed.transcript[0], is_typed=False)
    for first, is_typed in ((typed.transcript[0], True), (spoken, UNSET)):
        again = msgspec.structs.replace(typed, transcript=(first, *typed.transcript[1:]))
        assert (await replay_lines(again, options, Tolerance(), CHOICE.default)).verdict == "same"
        asked = [
            request for _, request in workers.taken if isinstance(request, Generate) and len(request.messages) == 1
        ]
        assert asked[-1].messages[0].is_typed is is_typed


async def test_without_the_store_the_callers_side_is_kept_and_its_lines_replay(
    served: Gateway, workers: Workers
) -> None:
    workers.writes = calls_tool("get_delivery_status", '{"tracking_id":"PKG004"}', SAYS)
    options = CallOptions(base_url=f"http://127.0.0.1:{served.port}/v1")
    interaction = await play(ASKS, [None, None], options)
    assert interaction.log == () and replay_effects(interaction) is None
    again = await replay_lines(interaction, options, Tolerance(), CHOICE.default)
    assert (again.verdict, again.why) == ("same", "")
    workers.writes = calls_tool(
        "get_delivery_status", '{"tracking_id":"PKG004"}', SAYS.replace("out for delivery", "delayed")
    )
    other = await replay_lines(interaction, options, Tolerance(), CHOICE.default)
    assert other.verdict == "different" and "not stated any more: state: out for delivery" in other.why


# -- a run over many calls -----------------------------------------------------------------------------------------------


def options_of(served: Gateway) -> CallOptions:
    return CallOptions(base_url=f"http://127.0.0.1:{served.port}/v1")


async def recorded(served: Gateway, workers: Workers, logs: StoreLogs) -> Interaction:
    workers.writes = calls_tool("get_delivery_status", '{"tracking_id":"PKG004"}', SAYS)
    return await play(ASKS, [None, None], options_of(served), log_of=logs)


def a_run(replays: list[Replay], steps: list[str], clock: ManualClock | None = None) -> LiveRun:
    return LiveRun(CHOICE, {}, on_step=steps.append, replays=replays, clock=clock)


@pytest.mark.parametrize("listens", [False, True])
async def test_nothing_is_synthesised_unless_the_replies_are_listened_to(
    served: Gateway, workers: Workers, logs: StoreLogs, listens: bool
) -> None:
    call = await recorded(served, workers, logs)
    workers.taken.clear()
    replays: list[Replay] = []
    await a_run(replays, []).calls([call], options_of(served), listens=listens)
    assert [(each.verdict, each.why) for each in replays] == [("same", "")]
    assert any(isinstance(request, Synthesise) for _, request in workers.taken) is listens


async def test_a_run_tells_which_call_of_how_many_and_the_time_so_far(
    served: Gateway, workers: Workers, logs: StoreLogs
) -> None:
    call = await recorded(served, workers, logs)
    clock, steps = ManualClock(), list[str]()
    run = a_run([], steps, clock)
    clock.advance(75)
    await run.calls([call, call], options_of(served))
    assert steps == ["call 1 of 2, 1:15 so far: asks", "call 2 of 2, 1:15 so far: asks"]


async def test_a_call_that_the_server_refuses_costs_itself_alone(
    served: Gateway, workers: Workers, logs: StoreLogs
) -> None:
    call = await recorded(served, workers, logs)
    unknown = msgspec.structs.replace(call, agent="nobody-knows")
    replays: list[Replay] = []
    await a_run(replays, []).calls([unknown, call, unknown, call], options_of(served))
    assert [each.verdict for each in replays] == ["failed", "same", "failed", "same"]
    assert "nobody-knows" in replays[0].why


async def test_a_call_without_an_end_is_given_up_and_three_in_a_row_end_the_run() -> None:
    replays: list[Replay] = []
    with silent_server() as port, pytest.raises(TooManyFailures, match=r"did not end within 0\.01 s"):
        options = CallOptions(base_url=f"http://127.0.0.1:{port}/v1")
        await a_run(replays, []).calls([HAPPY] * 9, options, limit_s=0.01)
    assert [each.verdict for each in replays] == ["failed"] * 3


async def test_where_no_server_answers_there_is_one_error() -> None:
    replays: list[Replay] = []
    with pytest.raises(CallUnreachable, match="no Realtime server answers"):
        await a_run(replays, []).calls([HAPPY], CallOptions(base_url="http://127.0.0.1:9/v1"))
    assert replays == []


def test_an_interrupted_replay_leaves_what_it_compared(tmp_path: Path) -> None:
    file = DayFiles(tmp_path / "calls").append(encode(HAPPY), HAPPY.began_s)
    out = tmp_path / "replays.jsonl"
    with silent_server() as port:
        command = [sys.executable, "-m", "agentvoicebox.cli", "eval", "replay", str(file), "--out", str(out)]
        command += ["--url", f"http://127.0.0.1:{port}/v1"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            told = []
            for line in process.stdout:
                told.append(line)
                if line.startswith("call 1 of 1"):
                    process.send_signal(signal.SIGINT)
            assert process.wait(PATIENCE_S) == 130
    assert "replayed effects: 1 of 1 the same\n" in told and told[-1].startswith("interrupted")
    kept = [msgspec.json.decode(each, type=Replay) for each in out.read_bytes().splitlines()]
    assert {each.what for each in kept} == {"effects", "tool"} and all(each.verdict == "same" for each in kept)
