"""A random but possible world around the engine: a detector, workers and a client, all driven by small integers.

Facts come as the real detector and broker would give them (positions grow, records of a job keep their order, a job's last
record is its last), but in any interleaving, late, early, or never.
"""

from collections.abc import Callable

from agentvoicebox.engine import effects as fx
from agentvoicebox.engine import inputs as i
from agentvoicebox.engine.session import Engine
from agentvoicebox.wire import client_events as ce
from agentvoicebox.wire.items import FunctionCallOutputItem, InputAudio, InputText, ItemReference, MessageItem
from agentvoicebox.wire.session_config import TurnDetection
from tests.kit.conversation import BOOK, LOOKUP, Talk

WORDS = ("", "yes", "Where is my parcel?", "It is one two three. No, four. Thanks, and good bye for now, then.")
MODES: tuple[TurnDetection | None, ...] = (
    TurnDetection(),
    TurnDetection(interrupt_response=False),
    TurnDetection(create_response=False),
    TurnDetection(idle_timeout_ms=5_000),
    None,
)


class World:
    """Plays one random session. `step` never raises unless the engine or a checker does."""

    def __init__(self, mode: int, *, transcription: bool, on_step: Callable[..., None]) -> None:
        self.talk = Talk(
            turn_detection=MODES[mode % len(MODES)],
            transcription=transcription,
            client_tool="open_door",
            answers_noise=mode < len(MODES),
        )
        self.position = 0
        self.is_speaking = False
        self.suspected: int | None = None  # where a voice began that is not judged yet
        self.pause: int | None = None
        self.sequence: dict[str, int] = {}
        self.begun: set[str] = set()
        self.on_step = on_step
        on_step(self.talk.engine, None, self.talk.effects, self.talk.now_s)
        self.moves = (
            self.speak, self.pause_or_stop, self.transcribe, self.generate, self.call, self.chunk, self.say_all, self.tool,
            self.fail, self.wait, self.commit, self.clear, self.create, self.cancel, self.item, self.truncate,
            self.delete, self.update, self.beside, self.output, self.ask, self.answer, self.change_mode,
            self.odd_call, self.spoken_item, self.own_input, self.suspect, self.judge,
        )  # fmt: skip

    def step(self, move: int, a: int, b: int) -> None:
        self.moves[move % len(self.moves)](a, b)

    def give(self, given: i.Input) -> None:
        effects = self.talk.give(given)
        for effect in effects:
            is_manual = isinstance(effect, fx.SetTurnDetection) and effect.turn_detection is None
            if is_manual or (isinstance(effect, fx.DropAudio) and effect.resets_turn):
                self.is_speaking, self.suspected, self.pause = False, None, None
        self.on_step(self.talk.engine, given, effects, self.talk.now_s)

    def client(self, event: ce.ClientEvent) -> None:
        self.give(i.ClientEventReceived(event, self.position))

    def _job(self, kind: str, pick: int) -> fx.OpenJob | None:
        jobs = [job for job in self.talk.jobs if job.request.__struct_config__.tag == kind]
        return jobs[pick % len(jobs)] if jobs else None

    # -- the caller ----------------------------------------------------------------------------------------------

    def speak(self, a: int, b: int) -> None:
        start, self.position = self.position, self.position + 800 + a * 400
        if self.talk.engine.state.config.turn_detection is None:
            self.give(i.AudioArrived(start))
        elif self.suspected is not None:
            pass  # the same voice
        elif not self.is_speaking:
            self.is_speaking, self.pause = True, None
            self.give(i.SpeechStarted(start))
        elif self.pause is not None:
            self.pause = None
            self.give(i.SpeechResumed())

    def suspect(self, a: int, b: int) -> None:
        """A voice over the agent's."""
        if not self.is_speaking and self.suspected is None and self.talk.engine.state.config.turn_detection is not None:
            self.suspected, self.position = self.position, self.position + 1_024
            self.give(i.SpeechSuspected(self.suspected))

    def judge(self, a: int, b: int) -> None:
        """Its words come, or not; it is an interruption, whose voice may have ended, or nothing."""
        if self.suspected is None:
            return
        self.position += 4_096
        if a % 2:
            self._hear_suspect(WORDS[b % 4], self.position if b % 3 else self.position - 1)
        start, self.suspected = self.suspected, None
        if b % 2:
            self.give(i.SpeechIgnored(self.position))
            return
        self.is_speaking, self.pause = True, None
        self.give(i.SpeechStarted(start))
        if b % 3:
            self.pause = self.position
            self.give(i.SpeechPaused(self.position))
            self.position += 2_560

    def _hear_suspect(self, text: str, end: int) -> None:
        suspect = self.talk.engine.state.buffer.suspect
        if suspect is not None and suspect.failure is None:
            self.give(i.Transcribed(suspect.job_id, text, end))

    def pause_or_stop(self, a: int, b: int) -> None:
        if not self.is_speaking:
            return
        if self.pause is None:
            self.pause = self.position
            self.position += 2_560
            self.give(i.SpeechPaused(self.pause))
        else:
            end, self.is_speaking = self.pause, False
            self.position += 3_200
            self.pause = None
            self.give(i.SpeechStopped(self.position, end))

    def commit(self, a: int, b: int) -> None:
        self.client(ce.InputAudioBufferCommit())

    def clear(self, a: int, b: int) -> None:
        self.client(ce.InputAudioBufferClear())

    def wait(self, a: int, b: int) -> None:
        due = self.talk.engine.deadline()
        if b % 3 == 0 and due is not None and due < self.talk.now_s + 60:
            self.talk.wait(max(0.0, due - self.talk.now_s))
            self.give(i.TimePassed(self.position))
        else:
            self.talk.wait(a * 0.05)

    def ask(self, a: int, b: int) -> None:
        """A whole turn, with or without speculation; sometimes the caller goes on after it."""
        for move in (self.speak, self.pause_or_stop, *((self.transcribe,) if a % 2 else ())):
            move(0, b)
        if b % 4 == 0:
            self.answer(a, b)
            self.speak(0, b)
            self.pause_or_stop(0, b)
        if b % 4 == 1:
            self.answer(a, b)
        self.pause_or_stop(0, b)
        self.transcribe(0, b)

    def answer(self, a: int, b: int) -> None:
        """The workers return some results."""
        if a % 3 == 0:
            self.call(0, b)
            self.tool(0, b)
        self.generate(0, b)
        self.chunk(a, b)
        self.chunk(a + 1, b)

    # -- the workers ---------------------------------------------------------------------------------------------

    def transcribe(self, a: int, b: int) -> None:
        job = self._job("transcribe", a)
        if job is None:
            return
        if job.job_id in self.talk.engine.state.buffer.owed:
            self.give(i.Transcribed(job.job_id, WORDS[b % 4], self.position, is_final=True))
        elif self.pause is not None:
            self.give(i.Transcribed(job.job_id, WORDS[b % 4], self.pause))

    def generate(self, a: int, b: int) -> None:
        job = self._job("generate", a)
        if job is not None:
            self.give(i.TextDelta(job.job_id, WORDS[b % 4]))
            if b % 2:
                self.give(i.Generated(job.job_id, ("stop", "length", "stop", "content_filter")[a % 4], 9, 4))

    def call(self, a: int, b: int) -> None:
        job = self._job("generate", a)
        if job is not None:
            name = (LOOKUP, "open_door", BOOK, BOOK)[b % 4]
            first = len(self.talk.inputs)  # a fresh index: a model never goes back to an earlier call
            self.give(i.ToolCallDelta(job.job_id, first, name, '{"a":'))
            self.give(i.ToolCallDelta(job.job_id, first, None, ("1}", " 1 }", "2}")[a % 3]))
            if b % 3:
                self.give(i.Generated(job.job_id, "tool_calls", 9, 4))

    def odd_call(self, a: int, b: int) -> None:
        """Calls as the worst of models write them: interleaved, cut, without arguments, of tools that do not exist."""
        job = self._job("generate", a)
        if job is not None:
            first, names = len(self.talk.inputs), (LOOKUP, "open_door", "look_further", BOOK)
            for index, name in enumerate((names[a % 4], names[b % 4])):
                self.give(i.ToolCallDelta(job.job_id, first + index, name, ("", '{"a":', "[")[(a + b) % 3]))
            for index in range(2):
                self.give(i.ToolCallDelta(job.job_id, first + index, None, ("1}", "", "{}")[a % 3]))
            self.give(i.Generated(job.job_id, ("tool_calls", "stop", "length")[b % 3], 9, 4, b % 2))

    def chunk(self, a: int, b: int) -> None:
        job = self._job("speak", a)
        if job is not None:
            self.sequence[job.job_id] = self.sequence.get(job.job_id, 0) + 1
            self.give(i.AudioSynthesised(job.job_id, self.sequence[job.job_id], 240 + b * 2_400))
            if a % 3 == 0:
                self.give(i.SynthesisDone(job.job_id))

    def say_all(self, a: int, b: int) -> None:
        for _ in range(4):
            self.chunk(0, b)

    def tool(self, a: int, b: int) -> None:
        job = self._job("call_tool", a)
        if job is not None:
            self.give(i.ToolReturned(job.job_id, f'{{"speech":"It is here, {len(self.talk.inputs)}."}}'))

    def fail(self, a: int, b: int) -> None:
        if self.talk.jobs and b % 4 == 0:
            self.give(i.JobFailed(self.talk.jobs[a % len(self.talk.jobs)].job_id, "provider_timeout", "too slow"))

    def change_mode(self, a: int, b: int) -> None:
        self.give(i.ModeChanged(((), ("speech_synthesis_unavailable",))[a % 2]))

    # -- the client ----------------------------------------------------------------------------------------------

    def _any_item(self, pick: int) -> str:
        entries = [e for e in self.talk.engine.state.conversation.entries if not e.is_hidden]
        return entries[pick % len(entries)].item.id if entries and pick % 5 else "item_unknown"

    def create(self, a: int, b: int) -> None:
        self.client(ce.ResponseCreate())

    def cancel(self, a: int, b: int) -> None:
        self.client(ce.ResponseCancel())

    def beside(self, a: int, b: int) -> None:
        self.client(ce.ResponseCreate(response=ce.ResponseOptions(conversation="none", output_modalities=("text",))))

    def item(self, a: int, b: int) -> None:
        item = MessageItem(role="user", content=(InputText(text=WORDS[a % 4]),))
        self.client(ce.ConversationItemCreate(item=item, previous_item_id=(None, "root", self._any_item(b))[b % 3]))

    def spoken_item(self, a: int, b: int) -> None:
        """An item that comes with its audio."""
        item = MessageItem(role="user", content=(InputText(text=WORDS[b % 4]), InputAudio()))
        event = ce.ConversationItemCreate(item=item)
        self.give(i.ClientEventReceived(event, self.position, (i.ItemAudio(0, a, 1_600 * (a + 1)),)))

    def own_input(self, a: int, b: int) -> None:
        """A response that reads what the client chooses."""
        spoken = MessageItem(role="user", content=(InputAudio(),))
        given = (ItemReference(id=self._any_item(a)), spoken)
        options = ce.ResponseOptions(conversation=("none", "auto")[a % 2], input=given[b % 2 :])
        event = ce.ResponseCreate(response=options)
        audio = i.ItemAudio(len(given[b % 2 :]) - 1, b, 16_000)
        self.give(i.ClientEventReceived(event, self.position, (audio,)))

    def output(self, a: int, b: int) -> None:
        calls = [e.item.call_id for e in self.talk.engine.state.conversation.entries if hasattr(e.item, "call_id")]
        call_id = calls[a % len(calls)] if calls else "call_unknown"
        self.client(ce.ConversationItemCreate(item=FunctionCallOutputItem(call_id=call_id, output="done")))

    def truncate(self, a: int, b: int) -> None:
        self.client(ce.ConversationItemTruncate(item_id=self._any_item(a), audio_end_ms=b * 100))

    def delete(self, a: int, b: int) -> None:
        self.client(ce.ConversationItemDelete(item_id=self._any_item(a)))

    def update(self, a: int, b: int) -> None:
        detection = (None, {"type": "server_vad"}, {"type": "semantic_vad"})[a % 3]
        session = {"type": "realtime", "audio": {"input": {"turn_detection": detection}}}
        if b % 2:
            session = {"type": "realtime", "output_modalities": [("audio", "text")[a % 2]]}
        self.client(ce.SessionUpdate(session=session))

    def hang_up(self) -> None:
        self.give(i.Closing("client_left"))


def replay(talk: Talk) -> list[list[fx.Effect]]:
    """The same inputs, given to a fresh engine: its effects, step by step."""
    engine, effects = Engine.open(talk.opened, 0.0)
    return [effects, *(engine.receive(given, now_s) for now_s, given in talk.inputs)]
