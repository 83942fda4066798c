"""How many inputs a second one engine takes: `python benchmarks/engine_steps.py [--turns 400] [--json FILE]`.

A spoken turn over and over, as a gateway would feed it: speech, a pause, words, a speculative answer with a tool call, its
audio, the end of the turn. Once bare, once with what the gateway adds to each step: the log entry, and a snapshot every 200
inputs. The conversation starts afresh every ten turns, about a long call. Prints one JSON object and a table.
"""

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from tests.kit.kits import AGENTS  # noqa: E402

from agentvoicebox.engine import inputs as i  # noqa: E402
from agentvoicebox.engine.effects import Effect, OpenJob  # noqa: E402
from agentvoicebox.engine.jobs import CallTool, Generate, Synthesise, Transcribe  # noqa: E402
from agentvoicebox.engine.session import Engine  # noqa: E402
from agentvoicebox.gateway.call.session_log_writer import SNAPSHOT_EVERY  # noqa: E402

TURNS_A_CALL = 10
CHUNKS = 30  # of 100 ms: a three-second answer
WORDS = "Your parcel is on its way and will be with you on Tuesday, November twenty-fourth."
ARGUMENTS = '{"tracking_id": "PKG004"}'


class Call:
    """One engine that is fed, and the time its steps took (µs)."""

    def __init__(self, note: Callable[[Engine, float, i.Input], None] | None) -> None:
        agent = AGENTS.default
        config = agent.session(session_id="sess_bench", model="delivery", expires_at=1_700_003_600)
        self.opened = i.Opened(config, agent.profile(), seed="bench", wall_s=1_700_000_000.0)
        self.now_s = 0.0
        self.sample = 0
        self.engine, _ = Engine.open(self.opened, self.now_s)
        self.took_us: list[float] = []
        self._note = note

    def give(self, given: i.Input) -> list[Effect]:
        """One step."""
        self.now_s += 0.02
        began_s = time.perf_counter()
        effects = self.engine.receive(given, self.now_s)
        if self._note is not None:
            self._note(self.engine, self.now_s, given)
        self.took_us.append((time.perf_counter() - began_s) * 1e6)
        return effects

    def turn(self) -> None:
        """A caller speaks; a model looks something up and answers; the answer is spoken."""
        start, end = self.sample, self.sample + 32_000
        self.sample = end + 8_000
        stt = opened(self.give(i.SpeechStarted(start)), Transcribe)
        self.give(i.SpeechPaused(end))
        llm = opened(self.give(i.Transcribed(stt, "where is P K G zero zero four", end)), Generate)
        self.give(i.ToolCallDelta(llm, 0, "get_delivery_status", ARGUMENTS))
        tool = opened(self.give(i.Generated(llm, "tool_calls", 100, 10)), CallTool)
        llm = opened(self.give(i.ToolReturned(tool, '{"code":"ok","data":{"status":"in_transit"}}')), Generate)
        effects: list[Effect] = []
        for word in WORDS.split(" "):
            effects += self.give(i.TextDelta(llm, f"{word} "))
        effects += self.give(i.Generated(llm, "stop", 100, 20))
        effects += self.give(i.SpeechStopped(end + 8_000, end))
        effects += self.give(i.Transcribed(stt, "where is P K G zero zero four", end, True))
        speaking = [
            each.job_id for each in effects if isinstance(each, OpenJob) and isinstance(each.request, Synthesise)
        ]
        while speaking:
            job_id = speaking.pop(0)
            for chunk in range(CHUNKS):
                self.give(i.AudioSynthesised(job_id, chunk + 1, 2_400))
            done = self.give(i.SynthesisDone(job_id))
            speaking += [each.job_id for each in done if isinstance(each, OpenJob)]
        self.now_s += 10.0  # the caller has heard all of it
        self.give(i.TimePassed(self.sample))
        if self.engine.state.responses:
            raise RuntimeError("the answer did not end: this benchmark no longer fits the engine")


def opened(effects: list[Effect], kind: type[msgspec.Struct]) -> str:
    """The id of the job of a kind among the effects."""
    return next(each.job_id for each in effects if isinstance(each, OpenJob) and isinstance(each.request, kind))


def measure(turns: int, *, with_log: bool) -> dict[str, float]:
    """`turns` turns, over as many calls as it takes."""
    encode = msgspec.msgpack.encode
    written = 0

    def note(engine: Engine, now_s: float, given: i.Input) -> None:
        nonlocal written
        encode((now_s, given))
        written += 1
        if written % SNAPSHOT_EVERY == 0:
            engine.snapshot()

    took_us: list[float] = []
    for _ in range(-(-turns // TURNS_A_CALL)):
        call = Call(note if with_log else None)
        for _ in range(TURNS_A_CALL):
            call.turn()
        took_us += call.took_us
    cuts = statistics.quantiles(took_us, n=100)
    return {
        "steps": len(took_us),
        "steps_per_s": round(len(took_us) / sum(took_us) * 1e6),
        "p50_us": round(cuts[49], 1),
        "p99_us": round(cuts[98], 1),
        "steps_per_turn": round(len(took_us) / turns, 1),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Engine steps a second.")
    parser.add_argument("--turns", type=int, default=400, help="spoken turns in all")
    parser.add_argument("--json", type=Path, help="where to write the figures, too")
    options = parser.parse_args()
    measure(TURNS_A_CALL, with_log=True)  # warm up
    rows = {"bare": measure(options.turns, with_log=False), "with log": measure(options.turns, with_log=True)}
    told = json.dumps({"benchmark": "engine_steps", "rows": rows})
    print(told)
    if options.json:
        options.json.write_text(told + "\n")
    table = Table("engine", "steps/s", "p50 µs", "p99 µs", "steps a turn", title="engine steps")
    for name, row in rows.items():
        figures = (f"{row['p50_us']:.0f}", f"{row['p99_us']:.0f}", f"{row['steps_per_turn']:.0f}")
        table.add_row(name, f"{row['steps_per_s']:.0f}", *figures)
    Console(stderr=True).print(table)


if __name__ == "__main__":
    main()
