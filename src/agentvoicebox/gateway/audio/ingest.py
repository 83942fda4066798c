"""One caller's audio on its way in: bytes → 16 kHz samples → ring, turn detector, recogniser.

Decides positions (every sample since the session began counts, at 16 kHz) and what flows where: windows to the batched voice
activity model, the turn detector's findings to the engine as facts, an utterance's audio to its job. What a turn is belongs to
`turns`, what a fact means to the engine. Everything here runs on the event loop; models run elsewhere.

Invariant: facts are posted in the order of the audio. `utterance_delivery` states the invariant of the utterances.
"""

import asyncio
from collections.abc import Callable

import msgspec
import numpy as np

from agentvoicebox.audio.pcm import Int16Array, ms_of_samples, to_float
from agentvoicebox.audio.ring import AudioRing
from agentvoicebox.clock import Clock, SystemClock
from agentvoicebox.engine import inputs
from agentvoicebox.engine.pause_findings import PauseFindings
from agentvoicebox.engine.turn import Turn
from agentvoicebox.errors import StoreFull
from agentvoicebox.gateway.audio.arrival_times import ArrivalTimes
from agentvoicebox.gateway.audio.backlog import Backlog
from agentvoicebox.gateway.audio.end_of_turn_judge import EndOfTurnJudge
from agentvoicebox.gateway.audio.frame_lateness import FrameLateness
from agentvoicebox.gateway.audio.input_decoder import InputDecoder
from agentvoicebox.gateway.audio.utterance_delivery import Deliver, UtteranceDelivery
from agentvoicebox.gateway.audio.vad_batch import VadBatcher
from agentvoicebox.ports.providers import EndOfTurn
from agentvoicebox.turns import facts
from agentvoicebox.turns.agent_evidence import AgentEvidence
from agentvoicebox.turns.barge_in import Suspicion
from agentvoicebox.turns.detector import Detector
from agentvoicebox.turns.vad import WINDOW_SAMPLES
from agentvoicebox.wire.audio_config import AudioFormat, TurnDetection

KEPT_S = 120.0  # longest buffer that can be committed, and how far back items can be retrieved; 3.8 MB when full
FEEDS_A_S = 10  # pieces of a second of audio; resampling a whole one holds the event loop for 1 to 8 ms
MAX_UNJUDGED_MS = 1_000  # audio that the model has not judged; beyond it the socket is not read
# The caller is mute when nothing was appended for this long, and for the silence that ends a turn on top. Frames come each 20 to
# 100 ms, and on a bad line one may be a second late.
MUTE_AFTER_S = 1.0
MUTE_CHECK_S = 0.1

Post = Callable[[inputs.Input], None]
Listen = Callable[[Int16Array], None]


class InputAudioConfig(msgspec.Struct, frozen=True):
    """How a session's input begins.

    Attributes:
        input_format: how the client encodes its samples.
        turn_detection: None for manual turns.
        start_sample: position of the next sample; beyond 0 in a resumed session.
        kept_s: how much audio is kept.
        judges_interruptions: a voice over the agent's is judged before it interrupts; see `turns.barge_in`.
    """

    input_format: AudioFormat
    turn_detection: TurnDetection | None
    start_sample: int = 0
    kept_s: float = KEPT_S
    judges_interruptions: bool = True


class Ingest:
    """The audio input of one session."""

    def __init__(
        self,
        batcher: VadBatcher,
        config: InputAudioConfig,
        *,
        post: Post,
        deliver: Deliver,
        listen: Listen = lambda samples: None,
        end_of_turn: EndOfTurn | None = None,
        agent: AgentEvidence | None = None,
        clock: Clock | None = None,
        lateness: FrameLateness | None = None,
    ) -> None:
        """A session that has sent nothing.

        Args:
            batcher: shared by all sessions of this gateway.
            config: the session's format and turn detection.
            post: takes each fact, in order; must not block.
            deliver: takes (job id, entry) for each piece of an open utterance; must not block.
            listen: called with all samples as they come, at 16 kHz; must not block.
            end_of_turn: asked at each pause under semantic_vad, in a thread; without it words and time decide.
            agent: what the session's agent knows about its callers' turns; None: what is known for any agent.
            clock: for arrival times.
            lateness: of all calls; is given this one's.
        """
        self._post = post
        self._listen = listen
        self._agent = agent
        self._ring = AudioRing(config.kept_s, start_sample=config.start_sample)
        self._judge = EndOfTurnJudge(end_of_turn, self._ring, self._pause_judged) if end_of_turn is not None else None
        self._slot = batcher.open(self._on_vad_window)
        self._utterances = UtteranceDelivery(self._ring, deliver)
        clock = clock or SystemClock()
        self.arrivals = ArrivalTimes(clock, lateness)
        self._backlog = Backlog(clock)
        self._clock = clock
        self._appended_s = clock.monotonic_s()
        self._muting: asyncio.TimerHandle | None = None  # while a turn is open
        self._is_agent_speaking = False
        self.is_agent_asking: Callable[[], bool] = lambda: False  # set by the owner
        self._judges_interruptions = config.judges_interruptions
        self._has_announced = False  # manual turns: AudioArrived was posted for the present buffer
        self._window_start = config.start_sample  # of the next window for the model
        self._judged_sample = config.start_sample  # end of the last window that the model judged
        self._floor_sample = 0
        self._turn_posted_at = 0  # position when the open turn's SpeechStarted was posted
        self._detector: Detector | None = None
        self._findings: PauseFindings | None = None  # the last ones
        self._decoder = InputDecoder(config.input_format, self._ring.end_sample)
        self.set_turn_detection(config.turn_detection)

    # -- what the caller sends -----------------------------------------------------------------------------------

    @property
    def position_samples(self) -> int:
        """How much was appended since the session began, in 16 kHz samples."""
        return self._decoder.position_samples

    @property
    def unjudged_ms(self) -> float:
        """Audio that the voice activity model has not judged yet; 0 with manual turns."""
        return 0.0 if self._detector is None else ms_of_samples(self.position_samples - self._judged_sample)

    def votes_ms(self) -> dict[str, float]:
        """How much silence each part of the rule asked for that ended the last turn."""
        return {} if self._detector is None else self._detector.votes_ms

    def append(self, audio: bytes) -> None:
        """Take raw audio in the session's format, cut anywhere.

        Raises:
            ProviderError: the voice activity model failed; the session can't continue.
        """
        self.arrivals.message_came()
        # A second at a time: the ring may be smaller than `audio`.
        step = self._decoder.bytes_per_s
        for start in range(0, len(audio), step):
            self._append_some(audio[start : start + step])

    async def feed(self, audio: bytes, waiting_since_s: float | None = None) -> None:
        """As `append`, and wait while more than MAX_UNJUDGED_MS is not judged: for the reader of a socket.

        `waiting_since_s`: see `ArrivalTimes.message_came`.
        """
        self.arrivals.message_came(len(audio) / self._decoder.bytes_per_s, waiting_since_s)
        step = self._decoder.bytes_per_s // FEEDS_A_S
        for start in range(0, len(audio), step):
            self._append_some(audio[start : start + step])
            if self.unjudged_ms > MAX_UNJUDGED_MS:
                await self._slot.settled()
            elif start:
                await asyncio.sleep(0)  # a long append must not keep the loop from other calls

    async def decode(self, audio: bytes) -> Int16Array:
        """Audio that is no part of the microphone's, in the session's format, as 16 kHz samples, shape (n,)."""
        decoder = InputDecoder(self._decoder.input_format, 0)
        step = decoder.bytes_per_s // FEEDS_A_S
        pieces = []
        for start in range(0, len(audio), step):
            samples = decoder.decode(audio[start : start + step])
            if samples is not None:
                pieces.append(samples)
            await asyncio.sleep(0)
        return np.concatenate([*pieces, decoder.flush()])

    def require_room(self, byte_count: int) -> None:
        """Ask before feeding so many bytes of one event.

        Raises:
            StoreFull: the store is nearly full, and the caller is far ahead of time.
        """
        if not self._backlog.takes(byte_count / self._decoder.bytes_per_s):
            raise StoreFull("The server's memory is nearly full; send audio as it is spoken.", param="audio")

    def limit_backlog(self, is_limited: bool) -> None:
        """The store is nearly full, or is so no longer: audio is taken only as fast as it is spoken, or as it comes."""
        self._backlog.limit(is_limited)

    async def drain(self) -> None:
        """Return once every whole window of what was appended so far was judged.

        Called before a client's event is posted, so that all facts about the audio before it come first.

        Raises:
            ProviderError: the voice activity model failed.
        """
        await self._slot.settled()

    def audio_between(self, start_sample: int, end_sample: int) -> Int16Array:
        """16 kHz samples of a stretch, as far as they are still kept, shape (n,)."""
        if end_sample > self._ring.end_sample:
            self._take(self._decoder.release())
        return self._ring.read(start_sample, end_sample)

    def close(self) -> None:
        """The session is over. Idempotent."""
        self._slot.close()
        self._utterances.close_all()
        if self._muting is not None:
            self._muting.cancel()
        if self._judge is not None:
            self._judge.close()

    def end_silent_turn(self) -> None:
        """End the open turn when nothing was appended for so long that its caller is mute, or his line sends no silence.

        A timer calls this while a turn is open.
        """
        self._muting = None
        detector = self._detector
        if detector is None or not self._is_in_turn(detector):
            return
        wait_s = MUTE_AFTER_S + (detector.turn_wait_ms() / 1000 if detector.suspicion is None else 0.0)
        left_s = self._appended_s + wait_s - self._clock.monotonic_s()
        if left_s > 0 or self._slot.waiting:
            self._watch_for_mute(max(left_s, MUTE_CHECK_S))
            return
        for fact in detector.end_turn(self._judged_sample):
            self._post_fact(fact)

    # -- what the engine wants -----------------------------------------------------------------------------------

    def set_format(self, input_format: AudioFormat) -> None:
        """Audio comes in this format from now on."""
        if input_format != self._decoder.input_format:
            self._settle()
            self._decoder = InputDecoder(input_format, self._ring.end_sample)

    def set_turn_detection(self, turn_detection: TurnDetection | None) -> None:
        """Turns are found by this from now on. An open turn continues, but manual turns (None) void it."""
        was_manual = self._detector is None
        if turn_detection is None:
            self._detector = None
            self._has_announced = self._has_announced and was_manual
            return
        if self._detector is not None:
            self._detector.retune(turn_detection)
            return
        self._take(self._decoder.release())
        floor_sample = max(self._floor_sample, self._utterances.last_stop_sample)
        self._detector = Detector(
            turn_detection,
            floor_sample=floor_sample,
            agent=self._agent,
            judges_interruptions=self._judges_interruptions,
        )
        self._detector.agent_is_speaking = self._is_agent_speaking
        self._slot.restart()
        self._window_start = self._judged_sample = self._ring.end_sample

    def set_agent_speaking(self, is_speaking: bool) -> None:
        """Whether agent audio is playing at the caller now: then it takes more voice to open a turn."""
        self._is_agent_speaking = is_speaking
        if self._detector is not None:
            self._detector.agent_is_speaking = is_speaking

    def transcript_received(self, text: str, speech_end_sample: int | None = None) -> None:
        """The recogniser's words up to a pause: evidence on whether the turn is over (semantic_vad)."""
        if self._detector is not None:
            self._detector.set_transcript(text, speech_end_sample)
            self._judge_turn()

    def pause_findings_received(self, findings: PauseFindings) -> None:
        """What the engine knows about a pause: evidence on whether the turn is over (semantic_vad)."""
        if self._detector is None or findings == self._findings:
            return
        self._findings = findings
        self._detector.set_question(findings.question)
        self._detector.set_tool_outputs(findings.tool_outputs, findings.speech_end_sample)
        if not findings.is_answer_awaited:
            self._detector.answer_is_ready(findings.speech_end_sample)
        self._judge_turn()

    def drop_before(self, sample: int, resets_turn: bool = False) -> None:
        """What lies before `sample` was committed or cleared: no later turn reaches into it.

        With `resets_turn` an open turn is void, unless its start was posted only after the client's event at `sample`: the
        client did not know of that turn yet.
        """
        self._floor_sample = max(self._floor_sample, sample)
        if self._detector is None:
            self._has_announced = False
            if self.position_samples > sample:
                self._announce(sample)
        elif resets_turn and self._is_in_turn(self._detector) and self._turn_posted_at <= sample:
            self._detector.reset(sample)
        else:
            self._detector.raise_floor(sample)

    # -- a resumed session ---------------------------------------------------------------------------------------

    def restore(self, floor_sample: int, turn: Turn | None, suspect: Turn | None = None) -> None:
        """Continue where another gateway's input stood.

        Args:
            floor_sample: no turn reaches before it.
            turn: the open one.
            suspect: what may become one.
        """
        self._floor_sample = self._utterances.last_stop_sample = floor_sample
        self._has_announced = turn is not None
        if self._detector is None:
            return
        self._detector.raise_floor(floor_sample)
        if suspect is not None:
            self._detector.restore_suspicion(suspect.start_sample, self._judged_sample)
            self._watch_for_mute(MUTE_AFTER_S)
        if turn is not None and not turn.is_manual:
            self._detector.restore(turn.start_sample, turn.pause_sample, self._judged_sample)
            self._watch_for_mute(MUTE_AFTER_S)
            if turn.text is not None and turn.pause_sample is not None:
                self._detector.set_transcript(turn.text, turn.pause_sample)

    def restore_utterance(self, job_id: str, next_sample: int) -> None:
        """Deliver to a job that another gateway opened, from the sample after the last delivered one."""
        self._utterances.restore(job_id, next_sample)

    # -- utterances ----------------------------------------------------------------------------------------------

    def open_utterance(self, job_id: str, start_sample: int) -> None:
        """From now on audio from `start_sample` is delivered to this job."""
        self._utterances.open(job_id, start_sample, self._certain_sample)

    def probe(self, job_id: str, speech_end_sample: int) -> None:
        """Deliver everything certain, then a `probe` mark."""
        self._utterances.probe(job_id, speech_end_sample, self._certain_sample)

    def end_utterance(self, job_id: str, end_sample: int, speech_end_sample: int) -> None:
        """Deliver what is missing up to `end_sample`, then the `end` mark; the job is closed."""
        if job_id in self._utterances and end_sample > self._ring.end_sample:
            self._settle()
        self._utterances.end(job_id, end_sample, speech_end_sample)

    def close_utterance(self, job_id: str) -> None:
        """The job was cancelled or failed: deliver nothing more. Unknown ids are ignored."""
        self._utterances.close(job_id)

    # -- inside --------------------------------------------------------------------------------------------------

    @property
    def _certain_sample(self) -> int:
        """Audio before it can be delivered: with a detector, what it has judged."""
        return self._ring.end_sample if self._detector is None else self._judged_sample

    def _append_some(self, audio: bytes) -> None:
        start_sample = self.position_samples
        samples = self._decoder.decode(audio, self._wanted_sample)
        if samples is None:
            return
        self._appended_s = self._clock.monotonic_s()
        self.arrivals.note(self.position_samples)
        if self._detector is None and not self._has_announced:
            self._announce(start_sample)
        self._take(samples)

    @property
    def _wanted_sample(self) -> int:
        """Up to where samples are needed before anything can be done with them: a window's."""
        return (self._ring.end_sample if self._detector is None else self._window_start) + WINDOW_SAMPLES

    def _settle(self) -> None:
        """Bring what the decoder holds back into the ring."""
        self._take(self._decoder.flush())

    def _take(self, samples: Int16Array) -> None:
        if len(samples):
            self._ring.append(samples)
            self._listen(samples)
            self._pass_on()

    def _pass_on(self) -> None:
        """New samples are in the ring: windows to the model, entries to open utterances."""
        if self._detector is None:
            self._utterances.deliver_up_to(self._ring.end_sample)
            return
        while self._window_start + WINDOW_SAMPLES <= self._ring.end_sample:
            end_sample = self._window_start + WINDOW_SAMPLES
            window = to_float(self._ring.read(self._window_start, end_sample))
            self._window_start = end_sample
            self._slot.submit(window, end_sample)

    def _announce(self, start_sample: int) -> None:
        self._has_announced = True
        self._post(inputs.AudioArrived(start_sample))

    def _on_vad_window(self, probability: float, window_end_sample: int) -> None:
        """The model judged a window: probability of speech, 0 to 1."""
        self._judged_sample = max(self._judged_sample, window_end_sample)
        detector = self._detector
        if detector is None:
            return
        detector.agent_is_asking = self.is_agent_asking()
        self.arrivals.judging_sample = window_end_sample
        for fact in detector.feed(probability, window_end_sample):
            self._post_fact(fact)
        self.arrivals.judging_sample = None
        self._utterances.deliver_up_to(self._certain_sample)
        if detector.suspicion is not None:
            self._follow(detector, detector.suspicion)
        self._ask_end_of_turn()

    def _judge_turn(self) -> None:
        """Evidence has come: the turn may be over, which need not wait for the next window."""
        if self._detector is not None:
            for fact in self._detector.judge():
                self._post_fact(fact)

    def _follow(self, detector: Detector, suspicion: Suspicion) -> None:
        """Give a suspicion its sound, and ask the recogniser for the words that it wants."""
        end_sample = detector.speech_end_sample
        if end_sample > suspicion.unheard_sample:
            suspicion.hear(self._ring.read(suspicion.unheard_sample, end_sample), end_sample)
        wanted = detector.words_wanted(self._judged_sample)
        if wanted is not None and self._utterances.probe_open(wanted, self._certain_sample):
            suspicion.asked(wanted)

    @staticmethod
    def _is_in_turn(detector: Detector) -> bool:
        return detector.turn_start_sample is not None or detector.suspicion is not None

    def _post_fact(self, fact: facts.Fact) -> None:
        match fact:
            case facts.SpeechSuspected(start_sample=start_sample):
                self._turn_posted_at = self.position_samples
                self._watch_for_mute(MUTE_AFTER_S)
                self._post(inputs.SpeechSuspected(start_sample))
            case facts.SpeechIgnored(end_sample=end_sample):
                self._utterances.turn_ended(end_sample)
                self._post(inputs.SpeechIgnored(end_sample))
            case facts.SpeechStarted(start_sample=start_sample):
                self._turn_posted_at = self.position_samples
                self._watch_for_mute(MUTE_AFTER_S)
                self._post(inputs.SpeechStarted(start_sample))
            case facts.SpeechPaused(speech_end_sample=speech_end_sample):
                self._findings = None  # what was known before it may be so again, and count now
                self._post(inputs.SpeechPaused(speech_end_sample))
            case facts.SpeechResumed():
                self._utterances.speech_resumed(self._judged_sample)
                self._post(inputs.SpeechResumed())
            case facts.SpeechStopped(end_sample=end_sample, speech_end_sample=speech_end_sample):
                self._utterances.turn_ended(end_sample)
                self.arrivals.decided(speech_end_sample)
                self._post(inputs.SpeechStopped(end_sample, speech_end_sample))

    def _watch_for_mute(self, after_s: float) -> None:
        if self._muting is None:
            self._muting = asyncio.get_running_loop().call_later(after_s, self.end_silent_turn)

    def _ask_end_of_turn(self) -> None:
        if self._judge is not None and self._detector is not None:
            self._judge.ask(self._detector, self._judged_sample)

    def _pause_judged(self, completeness: float | None, pause_sample: int) -> None:
        if completeness is not None and self._detector is not None:
            self._detector.set_completeness(completeness, pause_sample)
            self._judge_turn()
        self._ask_end_of_turn()
