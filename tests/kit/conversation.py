"""A conversation under test: feeds the engine, plays the workers by hand, and remembers everything it wanted."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from agentvoicebox.engine import effects as fx
from agentvoicebox.engine import inputs as i
from agentvoicebox.engine import rules
from agentvoicebox.engine.jobs import ToolSpec
from agentvoicebox.engine.session import Engine
from agentvoicebox.wire import client_events as ce
from agentvoicebox.wire.session_config import SessionConfig, Transcription, TurnDetection

LOOKUP = "get_delivery_status"
BOOK = "book_courier"  # changes the world
SERVER_VAD = TurnDetection()


@dataclass
class Call:
    """A tool call that the scripted model makes, its arguments in one or two pieces."""

    name: str
    arguments: str
    more: str = ""


class Talk:
    """One session with a manual clock."""

    def __init__(
        self,
        *,
        modality: str = "audio",
        transcription: bool = False,
        turn_detection: TurnDetection | None = SERVER_VAD,
        client_tool: str | None = None,
        tool_is_read_only: bool = True,
        kind: str = "realtime",
        answers_noise: bool = True,
        client_tools: Sequence[ToolSpec] = (),
        server_tools: tuple[i.ServerTool, ...] | None = None,
        rule_version: int = rules.PRESENT,
    ) -> None:
        self.now_s = 0.0
        self.effects: list[fx.Effect] = []
        self.jobs: list[fx.OpenJob] = []
        self.inputs: list[tuple[float, i.Input]] = []
        tools: tuple[dict[str, Any], ...] = ()
        if client_tool:
            tools = ({"type": "function", "name": client_tool, "description": "", "parameters": {}},)
        tools += tuple({"type": "function", "name": t.name, "parameters": t.parameters} for t in client_tools)
        config = SessionConfig(
            type=kind,  # type: ignore[arg-type]
            id="sess_test",
            model="delivery" if kind == "realtime" else "",
            expires_at=1_700_003_600,
            output_modalities=(modality,),  # type: ignore[arg-type]
            transcription=Transcription() if transcription else None,
            turn_detection=turn_detection,
            tools=tools,
        )
        lookup = i.ServerTool(LOOKUP, "Look a parcel up.", {"type": "object"}, is_read_only=tool_is_read_only)
        book = i.ServerTool(BOOK, "Book a courier.", {"type": "object"})
        server_tools = (lookup, book) if server_tools is None else server_tools
        agent = i.AgentProfile("delivery", "dialogue", server_tools, answers_noise)
        self.opened = i.Opened(config, agent, "test", 1_700_000_000.0, rule_version)
        self.engine, effects = Engine.open(self.opened, self.now_s)
        self._take(effects)

    # -- what happened -------------------------------------------------------------------------------------------

    @property
    def sent(self) -> list[Any]:
        """Server events so far."""
        return [e.event for e in self.effects if isinstance(e, fx.Send)]

    @property
    def events(self) -> list[str]:
        """Types of server events so far, audio included."""
        return [
            str(e.event.__struct_config__.tag) if isinstance(e, fx.Send) else "response.output_audio.delta"
            for e in self.effects
            if isinstance(e, fx.Send | fx.SendAudio)
        ]

    def clear(self) -> None:
        """Forget the effects so far (jobs stay open)."""
        self.effects = []

    def open_job(self, kind: str, *, missing_ok: bool = False) -> Any:
        """The oldest open job of a kind."""
        found = next((job for job in self.jobs if job.request.__struct_config__.tag == kind), None)
        assert found is not None or missing_ok, f"no open {kind} job"
        return found

    # -- what happens --------------------------------------------------------------------------------------------

    def give(self, given: i.Input) -> list[fx.Effect]:
        """Feed the engine."""
        self.inputs.append((self.now_s, given))
        effects = self.engine.receive(given, self.now_s)
        self._take(effects)
        match given:
            case i.Generated() | i.SynthesisDone() | i.ToolReturned() | i.JobFailed():
                self._close(given.job_id)
            case i.Transcribed(is_final=True):
                self._close(given.job_id)
        return effects

    def _take(self, effects: list[fx.Effect]) -> None:
        self.effects += effects
        for effect in effects:
            if isinstance(effect, fx.OpenJob):
                self.jobs.append(effect)
            elif isinstance(effect, fx.CancelJob):
                self._close(effect.job_id)

    def _close(self, job_id: str) -> None:
        self.jobs = [job for job in self.jobs if job.job_id != job_id]

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self.now_s += seconds

    def client(self, event: ce.ClientEvent, at_sample: int = 0) -> None:
        """The client says something."""
        self.give(i.ClientEventReceived(event, at_sample))

    def speech(self, start: int, end: int, text: str | None, *, is_speculated: bool = True) -> None:
        """A whole turn: speech, a pause, its end, its words (None: none yet)."""
        self.give(i.SpeechStarted(start))
        self.give(i.SpeechPaused(end))
        if text is not None and is_speculated:
            self.transcribe(text, end)
        self.give(i.SpeechStopped(end + 8_000, end))
        if text is not None and not is_speculated:
            self.transcribe(text, end, is_final=True)

    def transcribe(self, text: str, end: int, *, is_final: bool = False) -> None:
        """The recogniser answers for the oldest utterance."""
        self.give(i.Transcribed(self.open_job("transcribe").job_id, text, end, is_final))

    def model(self, text: str = "", *, calls: list[Call] = [], job: str | None = None) -> None:  # noqa: B006
        """The language model writes its line to the oldest generation."""
        job_id = job or self.open_job("generate").job_id
        if text:
            self.give(i.TextDelta(job_id, text))
        for index, call in enumerate(calls):
            self.give(i.ToolCallDelta(job_id, index, call.name, call.arguments))
            if call.more:
                self.give(i.ToolCallDelta(job_id, index, None, call.more))
        self.give(i.Generated(job_id, "tool_calls" if calls else "stop", 10, 5))

    def tool(self, output: str) -> None:
        """The oldest server tool answers."""
        self.give(i.ToolReturned(self.open_job("call_tool").job_id, output))

    def chunk(self, samples: int, sequence: int = 1) -> None:
        """The oldest synthesis delivers a chunk."""
        self.give(i.AudioSynthesised(self.open_job("speak").job_id, sequence, samples))

    def voice(self, *samples: int) -> None:
        """Each of the next syntheses delivers one chunk of that length and ends."""
        for count in samples:
            job_id = self.open_job("speak").job_id
            self.give(i.AudioSynthesised(job_id, 1, count))
            self.give(i.SynthesisDone(job_id))
