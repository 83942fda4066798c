"""Simulates a scenario without sound: the real engine, the kit's real language model and tools, and a simulated clock.

Decides how long each part takes (constants, so that two simulations are equal byte for byte) and when the caller acts. A call of
one minute takes about 20 ms. Speech recognition is not simulated: transcripts are the lines as written.
"""

import heapq
import itertools
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import msgspec

from agentvoicebox.agents import Agents
from agentvoicebox.engine import effects as fx
from agentvoicebox.engine import inputs as i
from agentvoicebox.engine import rules
from agentvoicebox.engine.jobs import CallTool, Generate, Synthesise
from agentvoicebox.engine.session import Engine
from agentvoicebox.evals.kit_choice import KitChoice
from agentvoicebox.evals.scenario import SaidLine, Scenario
from agentvoicebox.interactions.from_log import interaction_of_log
from agentvoicebox.interactions.interaction import Interaction
from agentvoicebox.interactions.tape import Tape
from agentvoicebox.kits.evaluation import RunTool
from agentvoicebox.ports.language_model import Llm
from agentvoicebox.wire import client_events as ce
from agentvoicebox.wire.items import InputText, MessageItem
from agentvoicebox.wire.session_config import Transcription

RATE_HZ = 16_000
CHUNK_SAMPLES = 2_400  # 100 ms of speech
WORD_S, LETTER_S = 0.3, 0.065  # how fast people and voices speak
PROBE_S, ENDPOINT_S = 0.16, 0.5  # silence until the first probe, and until the turn is over
SESSION_S = 3_600.0


class Timing(msgspec.Struct, frozen=True, kw_only=True):
    """Duration of each part in ms, about as on a machine with two cores."""

    stt_ms: float = 90.0
    dialogue_ms: float = 4.0
    tool_ms: float = 6.0
    tts_ms: float = 110.0
    chunk_ms: float = 20.0


class Simulation:
    """One simulated call. Call `play` once.

    Args:
        scenario: the scenario to play.
        agents: of the deployment.
        choice: the kits of the deployment.
        wall_s: Unix time at which the call begins.
        run_tool: runs the tools; by default those of the agent's kit with the scenario's backend.
        timing: duration of each part.
        llm: replaces the kit's deterministic model.
    """

    def __init__(
        self,
        scenario: Scenario,
        agents: Agents,
        choice: KitChoice,
        *,
        wall_s: float,
        run_tool: RunTool | None = None,
        timing: Timing | None = None,
        llm: Llm | None = None,
    ) -> None:
        self._scenario = scenario
        self._timing = timing or Timing()
        evaluation = choice.of_agent(scenario.agent)
        self._llm: Llm = llm or choice.kits.language_models()[evaluation.language_model]
        self._run_tool = run_tool or evaluation.backend(scenario.backend, datetime.fromtimestamp(wall_s, UTC).date())
        self._judge_of = choice.kits.judge_of
        self._now_s = 0.0
        self._schedule_queue: list[tuple[float, int, str, Callable[[], i.Input | None]]] = []
        self._count = itertools.count()
        self._transcripts: dict[str, str] = {}  # STT job → transcript
        self._probed: dict[str, int] = {}
        self._open: dict[str, Any] = {}
        self._next_transcript = ""
        self._first_audio_s: float | None = None
        self._last_reply = ""
        self.tape = Tape(f"rehearsal-{scenario.name}")
        agent = agents.resolve(scenario.agent or evaluation.agent)
        config = agent.session(session_id=f"sess_{scenario.name}", model=agent.name, expires_at=int(wall_s + SESSION_S))
        config = msgspec.structs.replace(config, transcription=Transcription())
        opened = i.Opened(
            config, agent.profile(), seed=f"{scenario.name}/{scenario.seed}", wall_s=wall_s, rules=rules.PRESENT
        )
        self._engine, effects = Engine.open(opened, 0.0)
        self.tape.record(0.0, opened, effects)
        self._opening = effects

    async def play(self) -> Interaction:
        """Play the call and return its interaction, with words."""
        await self._apply(self._opening)
        for line in self._scenario.lines:
            await self._play_line(line)
        await self._run_until_idle()
        await self._receive(i.Closing("client_left"))
        return interaction_of_log(
            self.tape.log,
            correlation_id=self.tape.correlation_id,
            channel="rehearsal",
            scenario=self._scenario.name,
            wants_masked=False,
            judge_of=self._judge_of,
        ).interaction

    # -- the caller --------------------------------------------------------------------------------------------------

    async def _play_line(self, line: SaidLine) -> None:
        if line.interrupt_ms is None:
            await self._run_until_idle()
            if line.only_if and line.only_if.lower() not in self._last_reply.lower():
                return
            self._now_s = max(self._now_s, self._engine.state.playout.ends_at_s)
            self._now_s += (self._scenario.pause_ms + line.pause_ms) / 1000
        else:
            await self._run_until_idle(played_s=line.interrupt_ms / 1000)
        self._first_audio_s, self._last_reply = None, ""
        if line.type:
            item = MessageItem(role="user", content=(InputText(text=line.type),))
            await self._receive(i.ClientEventReceived(ce.ConversationItemCreate(item=item), self._sample()))
            await self._receive(i.ClientEventReceived(ce.ResponseCreate(), self._sample()))
            return
        self._next_transcript = line.words if line.heard is None else line.heard
        began_s = self._now_s
        end_s = began_s + max(1, len(line.words.split())) * WORD_S
        await self._receive(i.SpeechStarted(self._sample()))
        end_sample = round(end_s * RATE_HZ)
        self._schedule(end_s + PROBE_S, "", lambda: i.SpeechPaused(end_sample))
        self._schedule(
            end_s + ENDPOINT_S, "", lambda: i.SpeechStopped(round((end_s + ENDPOINT_S) * RATE_HZ), end_sample)
        )

    def _sample(self) -> int:
        return round(self._now_s * RATE_HZ)

    # -- time --------------------------------------------------------------------------------------------------------

    def _schedule(self, at_s: float, job_id: str, make: Callable[[], i.Input | None]) -> None:
        heapq.heappush(self._schedule_queue, (at_s, next(self._count), job_id, make))

    async def _run_until_idle(self, played_s: float | None = None) -> None:
        """Advance the clock until nothing is scheduled; with `played_s`, only until this much of the reply was played."""
        while not self._engine.is_closed:
            until_s = None
            if played_s is not None and self._first_audio_s is not None:
                until_s = self._first_audio_s + played_s
            deadline_s = self._engine.deadline() if self._engine.state.responses else None
            next_s = self._schedule_queue[0][0] if self._schedule_queue else None
            times = [at_s for at_s in (next_s, deadline_s) if at_s is not None]
            if not times or (until_s is not None and min(times) >= until_s):
                self._now_s = max(self._now_s, until_s or 0.0)
                return
            self._now_s = max(self._now_s, min(times))
            if next_s is None or (deadline_s is not None and deadline_s < next_s):
                await self._receive(i.TimePassed(self._sample()))
                continue
            _, _, job_id, make = heapq.heappop(self._schedule_queue)
            given = make() if not job_id or job_id in self._open else None
            if given is not None:
                await self._receive(given)

    async def _receive(self, given: i.Input) -> None:
        effects = self._engine.receive(given, self._now_s)
        self.tape.record(self._now_s, given, effects)
        await self._apply(effects)

    # -- the workers -------------------------------------------------------------------------------------------------

    async def _apply(self, effects: list[fx.Effect]) -> None:
        timing = self._timing
        for effect in effects:
            match effect:
                case fx.OpenJob(job_id=job_id, request=request):
                    self._open[job_id] = request
                    await self._start_job(job_id, request)
                case fx.CancelJob(job_id=job_id):
                    self._open.pop(job_id, None)
                case fx.ProbeUtterance(job_id=job_id, speech_end_sample=sample):
                    self._probed[job_id] = sample
                    said = self._transcripts[job_id]
                    self._schedule(
                        self._now_s + timing.stt_ms / 1000, job_id, _constant(i.Transcribed(job_id, said, sample))
                    )
                case fx.EndUtterance(job_id=job_id, speech_end_sample=sample):
                    wait_ms = 1.0 if self._probed.get(job_id) == sample else timing.stt_ms
                    final = i.Transcribed(job_id, self._transcripts[job_id], sample, is_final=True)
                    self._schedule(self._now_s + wait_ms / 1000, job_id, _constant(final))
                case fx.SendAudio() if self._first_audio_s is None:
                    self._first_audio_s = self._now_s
                case fx.Send(event=event):
                    self._last_reply += str(getattr(event, "delta", "")) if "transcript" in _type(event) else ""

    async def _start_job(self, job_id: str, request: Any) -> None:
        timing, now_s = self._timing, self._now_s
        match request:
            case Generate():
                at_s = now_s + timing.dialogue_ms / 1000
                async for delta in self._llm.generate(request, job_id):
                    self._schedule(at_s, job_id, _constant(delta))
                    at_s += 0.0001
            case Synthesise(text=text):
                chunks = max(1, round(len(text) * LETTER_S * 10))
                at_s = now_s + timing.tts_ms / 1000
                for number in range(1, chunks + 1):
                    self._schedule(at_s, job_id, _constant(i.AudioSynthesised(job_id, number, CHUNK_SAMPLES)))
                    at_s += timing.chunk_ms / 1000
                self._schedule(at_s, job_id, _constant(i.SynthesisDone(job_id)))
            case CallTool(name=name, arguments=arguments):
                answer = i.ToolReturned(job_id, await self._run_tool(name, arguments))
                self._schedule(now_s + timing.tool_ms / 1000, job_id, _constant(answer))
            case _:
                self._transcripts[job_id] = self._next_transcript


def _constant(given: i.Input) -> Callable[[], i.Input]:
    return lambda: given


def _type(event: object) -> str:
    return str(type(event).__struct_config__.tag)  # type: ignore[attr-defined]
