"""One caller's audio on its way in: bytes → 16 kHz samples → ring, detector, recogniser.

Decides positions (every sample since the session began counts, at 16 kHz) and what flows where: windows to the batched
detector, its findings to the engine as facts, an utterance's audio to its job. Leaves turns to `turns`, and what a fact means
to the engine. Everything here runs on the event loop; models run elsewhere.

Law: facts are posted in the order of the audio; an utterance's entries follow one another without gap or overlap, and hold no
sample after the end of a turn that the detector ended. (A commit by the client may find some later audio already
delivered: the `end` mark says where to cut.)
"""

import asyncio
from array import array
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass

from agentvoicebox.audio.g711 import decode_alaw, decode_ulaw
from agentvoicebox.audio.pcm import Int16Array, SampleCutter, bytes_of, ms_of_samples, to_float
from agentvoicebox.audio.rates import INPUT_RATE_HZ
from agentvoicebox.audio.resample import Resampler
from agentvoicebox.audio.ring import AudioRing
from agentvoicebox.clock import Clock, SystemClock
from agentvoicebox.engine import inputs
from agentvoicebox.engine.state import Turn
from agentvoicebox.errors import ProviderError
from agentvoicebox.gateway.vad_batch import VadBatcher
from agentvoicebox.ports.broker import AudioEntry
from agentvoicebox.ports.providers import EndOfTurn
from agentvoicebox.telemetry.logs import get_logger
from agentvoicebox.turns import facts
from agentvoicebox.turns.detector import Detector
from agentvoicebox.turns.vad import WINDOW_SAMPLES
from agentvoicebox.wire.audio_config import AudioFormat, TurnDetection

KEEP_S = 120.0  # longest buffer that can be committed, and how far back items can be retrieved; 3.8 MB when full
ENTRY_SAMPLES = (
    INPUT_RATE_HZ // 10
)  # 100 ms a store entry: a tenth of the entries of 10 ms frames, and no delay at marks
ENTRY_MOST_SAMPLES = INPUT_RATE_HZ  # a backlog goes in larger pieces, but none that blocks a reader
MOST_WAITING_MS = 1_000  # audio that the detector has not seen; beyond it the socket is read no further
JUDGED_SAMPLES = 8 * INPUT_RATE_HZ  # what an end-of-turn model looks at
ARRIVALS_KEPT = 4_096  # at least; 80 s of 20 ms appends: far beyond any turn's latency question

Post = Callable[[inputs.Input], None]
Deliver = Callable[[str, AudioEntry], None]

log = get_logger(__name__)


@dataclass(slots=True)
class _Utterance:
    next_sample: int
    limit_sample: int | None = None  # the turn ended here: nothing beyond belongs to it


class Ingest:
    """The way in of one session."""

    def __init__(
        self,
        batcher: VadBatcher,
        *,
        input_format: AudioFormat,
        turn_detection: TurnDetection | None,
        post: Post,
        deliver: Deliver,
        end_of_turn: EndOfTurn | None = None,
        clock: Clock | None = None,
        keep_s: float = KEEP_S,
        start_sample: int = 0,
    ) -> None:
        """A session that has sent nothing.

        Args:
            batcher: shared by all sessions of this gateway.
            input_format: how the client writes its samples.
            turn_detection: None for manual turns.
            post: takes each fact, in order; must not block.
            deliver: takes (job id, entry) for each piece of an open utterance; must not block.
            end_of_turn: asked at each pause under semantic_vad, in a thread; None leaves words and time to decide.
            clock: for `arrival_s`.
            keep_s: how much audio is kept.
            start_sample: position of the next sample; beyond 0 in a session that is taken over.
        """
        self._post = post
        self._deliver = deliver
        self._end_of_turn = end_of_turn
        self._clock = clock or SystemClock()
        self._ring = AudioRing(keep_s, start_sample=start_sample)
        self._slot = batcher.open(self._heard)
        self._utterances: dict[str, _Utterance] = {}
        self._arrived_samples = array("q")  # just after each append
        self._arrived_s = array("d")
        self._has_forgotten_arrivals = False
        self._judging: asyncio.Task[None] | None = None
        self._is_speaking = False
        self._has_announced = False  # manual turns: AudioArrived was posted for the present buffer
        self._window_start = start_sample  # of the next window for the detector
        self._heard_sample = start_sample  # how far the detector has come
        self._floor_sample = 0
        self._last_stop_sample = 0
        self._turn_posted_at = 0  # position when the open turn's SpeechStarted was posted
        self._detector: Detector | None = None
        self._use_format(input_format)
        self._use_detection(turn_detection)

    # -- what the caller sends -----------------------------------------------------------------------------------

    @property
    def position_samples(self) -> int:
        """How much was appended since the session began, in 16 kHz samples."""
        return self._format_start + self._resampler.due_count

    @property
    def waiting_ms(self) -> float:
        """Audio that the detector has not judged yet; 0 in manual mode."""
        return 0.0 if self._detector is None else ms_of_samples(self.position_samples - self._heard_sample)

    def append(self, audio: bytes) -> None:
        """Take raw audio in the session's format, cut anywhere.

        Raises:
            ProviderError: the detector's model failed; the session can't go on.
        """
        # A second at a time: the ring may be smaller than `audio`.
        for start in range(0, len(audio), self._bytes_per_s):
            self._append_some(audio[start : start + self._bytes_per_s])

    async def feed(self, audio: bytes) -> None:
        """As `append`, and wait while more than MOST_WAITING_MS is undetected: what a socket's reader calls."""
        for start in range(0, len(audio), self._bytes_per_s):
            self._append_some(audio[start : start + self._bytes_per_s])
            if self.waiting_ms > MOST_WAITING_MS:
                await self._slot.settled()
            elif start:
                await asyncio.sleep(0)  # a long append must not keep the loop from other calls

    async def drain(self) -> None:
        """Return once every whole window of what was appended so far was judged.

        Called before a client's event is posted, so that all facts about the audio before it come first.

        Raises:
            ProviderError: the detector's model failed.
        """
        await self._slot.settled()

    def arrival_s(self, sample: int) -> float | None:
        """Monotonic time at which a sample arrived; None if it has not, or too long ago."""
        index = bisect_right(self._arrived_samples, sample)
        if index == len(self._arrived_s) or (index == 0 and self._has_forgotten_arrivals):
            return None
        return self._arrived_s[index]

    def audio_between(self, start_sample: int, end_sample: int) -> Int16Array:
        """16 kHz samples of a stretch, as far as they are still kept, shape (n,)."""
        return self._ring.read(start_sample, end_sample)

    def close(self) -> None:
        """The session is over. Idempotent."""
        self._slot.close()
        self._utterances.clear()
        if self._judging is not None:
            self._judging.cancel()

    # -- what the engine wants -----------------------------------------------------------------------------------

    def set_format(self, input_format: AudioFormat) -> None:
        """Audio comes in this format from now on."""
        if input_format != self._format:
            self._settle()
            self._use_format(input_format)

    def set_turn_detection(self, turn_detection: TurnDetection | None) -> None:
        """Turns are found by this from now on; an open one goes on, but is void with manual turns (None)."""
        self._use_detection(turn_detection)

    def set_agent_speaking(self, is_speaking: bool) -> None:
        """Whether the caller hears the agent now: then it takes more voice to open a turn."""
        self._is_speaking = is_speaking
        if self._detector is not None:
            self._detector.agent_is_speaking = is_speaking

    def hear(self, text: str, speech_end_sample: int | None = None) -> None:
        """The recogniser's words up to a pause: a vote on whether the turn is over (semantic_vad)."""
        if self._detector is not None:
            self._detector.hear(text, speech_end_sample)

    def drop_before(self, sample: int, resets_turn: bool = False) -> None:
        """What lies before `sample` was committed or cleared: no later turn reaches into it.

        With `resets_turn` an open turn is void, unless its start was posted only after the client's event at `sample`: then
        whoever asks does not know it yet, and will.
        """
        self._floor_sample = max(self._floor_sample, sample)
        if self._detector is None:
            self._has_announced = False
            if self.position_samples > sample:
                self._announce(sample)
        elif resets_turn and self._detector.turn_start_sample is not None and self._turn_posted_at <= sample:
            self._detector.reset(sample)
        else:
            self._detector.keep_from(sample)

    # -- a session that is taken over ----------------------------------------------------------------------------

    def go_on(self, floor_sample: int, turn: Turn | None) -> None:
        """Stand where another gateway's ear stood: no turn reaches before `floor_sample`, and `turn` is open."""
        self._floor_sample = self._last_stop_sample = floor_sample
        self._has_announced = turn is not None
        if self._detector is None:
            return
        self._detector.keep_from(floor_sample)
        if turn is not None and not turn.is_manual:
            self._detector.go_on(turn.start_sample, turn.pause_sample, self._heard_sample)
            if turn.text is not None and turn.pause_sample is not None:
                self._detector.hear(turn.text, turn.pause_sample)

    def go_on_utterance(self, job_id: str, next_sample: int) -> None:
        """Deliver to a job that another gateway opened, from the sample that it reached."""
        self._utterances[job_id] = _Utterance(next_sample)

    # -- utterances ----------------------------------------------------------------------------------------------

    def open_utterance(self, job_id: str, start_sample: int) -> None:
        """From now on audio from `start_sample` is delivered to this job."""
        utterance = _Utterance(max(start_sample, self._ring.start_sample))
        if start_sample < self._last_stop_sample:
            utterance.limit_sample = self._last_stop_sample  # its turn ended before the engine heard that it began
        self._utterances[job_id] = utterance
        self._flow(job_id, utterance)

    def probe(self, job_id: str, speech_end_sample: int) -> None:
        """Deliver what there is, then a `probe` mark."""
        utterance = self._utterances.get(job_id)
        if utterance is not None:
            self._flow(job_id, utterance, to_the_last=True)
            self._deliver(job_id, AudioEntry("probe", speech_end_sample))

    def end_utterance(self, job_id: str, end_sample: int, speech_end_sample: int) -> None:
        """Deliver what is missing up to `end_sample`, then the `end` mark; the job is closed."""
        utterance = self._utterances.pop(job_id, None)
        if utterance is not None:
            if end_sample > self._ring.end_sample:
                self._settle()
            self._send(job_id, utterance, end_sample, to_the_last=True)
            self._deliver(job_id, AudioEntry("end", speech_end_sample, end_sample=end_sample))

    def close_utterance(self, job_id: str) -> None:
        """The job was cancelled: deliver nothing more. Unknown ids are ignored."""
        self._utterances.pop(job_id, None)

    # -- inside --------------------------------------------------------------------------------------------------

    def _use_format(self, input_format: AudioFormat) -> None:
        self._format = input_format
        self._cutter = SampleCutter()
        self._resampler = Resampler(input_format.rate_hz, INPUT_RATE_HZ)
        self._format_start = self._ring.end_sample
        self._bytes_per_s = input_format.rate_hz * (2 if input_format.type == "audio/pcm" else 1)

    def _use_detection(self, turn_detection: TurnDetection | None) -> None:
        was_manual = self._detector is None
        if turn_detection is None:
            self._detector = None
            self._has_announced = self._has_announced and was_manual
            return
        if self._detector is not None:
            self._detector.retune(turn_detection)
            return
        self._detector = Detector(turn_detection, floor_sample=max(self._floor_sample, self._last_stop_sample))
        self._detector.agent_is_speaking = self._is_speaking
        self._slot.restart()
        self._window_start = self._heard_sample = self._ring.end_sample

    def _append_some(self, audio: bytes) -> None:
        start_sample = self.position_samples
        samples = self._decode(audio)
        if not len(samples):
            return
        self._ring.append(self._resampler.feed(samples))
        self._note_arrival(self.position_samples)
        if self._detector is None and not self._has_announced:
            self._announce(start_sample)
        self._pass_on()

    def _note_arrival(self, end_sample: int) -> None:
        self._arrived_samples.append(end_sample)
        self._arrived_s.append(self._clock.monotonic_s())
        if len(self._arrived_s) > 2 * ARRIVALS_KEPT:
            del self._arrived_samples[:ARRIVALS_KEPT], self._arrived_s[:ARRIVALS_KEPT]
            self._has_forgotten_arrivals = True

    def _decode(self, audio: bytes) -> Int16Array:
        match self._format.type:
            case "audio/pcm":
                return self._cutter.feed(audio)
            case "audio/pcmu":
                return decode_ulaw(audio)
            case "audio/pcma":
                return decode_alaw(audio)

    def _settle(self) -> None:
        """Bring what the resampler holds back into the ring (at most 3 ms)."""
        self._ring.append(self._resampler.flush())
        self._pass_on()

    def _pass_on(self) -> None:
        """New samples are in the ring: windows to the detector, entries to open utterances."""
        if self._detector is not None:
            while self._window_start + WINDOW_SAMPLES <= self._ring.end_sample:
                end_sample = self._window_start + WINDOW_SAMPLES
                self._slot.submit(to_float(self._ring.read(self._window_start, end_sample)), end_sample)
                self._window_start = end_sample
        else:
            for job_id, utterance in list(self._utterances.items()):
                self._flow(job_id, utterance)

    def _announce(self, start_sample: int) -> None:
        self._has_announced = True
        self._post(inputs.AudioArrived(start_sample))

    def _heard(self, probability: float, window_end_sample: int) -> None:
        """The detector's model judged a window."""
        self._heard_sample = max(self._heard_sample, window_end_sample)
        detector = self._detector
        if detector is None:
            return
        for fact in detector.feed(probability, window_end_sample):
            self._post_fact(fact)
        for job_id, utterance in list(self._utterances.items()):
            self._flow(job_id, utterance)
        self._ask_end_of_turn()

    def _post_fact(self, fact: facts.Fact) -> None:
        match fact:
            case facts.SpeechStarted(start_sample=start_sample):
                self._turn_posted_at = self.position_samples
                self._post(inputs.SpeechStarted(start_sample))
            case facts.SpeechPaused(speech_end_sample=speech_end_sample):
                self._post(inputs.SpeechPaused(speech_end_sample))
            case facts.SpeechResumed():
                for job_id in self._utterances:
                    self._deliver(job_id, AudioEntry("resume", self._heard_sample))
                self._post(inputs.SpeechResumed())
            case facts.SpeechStopped(end_sample=end_sample, speech_end_sample=speech_end_sample):
                self._last_stop_sample = end_sample
                for utterance in self._utterances.values():
                    if utterance.limit_sample is None:
                        utterance.limit_sample = end_sample
                self._post(inputs.SpeechStopped(end_sample, speech_end_sample))

    def _flow(self, job_id: str, utterance: _Utterance, *, to_the_last: bool = False) -> None:
        """Deliver what is certain to belong to the utterance: with a detector, what it has judged."""
        upto = self._ring.end_sample if self._detector is None else self._heard_sample
        if utterance.limit_sample is not None:
            upto = min(upto, utterance.limit_sample)
        self._send(job_id, utterance, upto, to_the_last=to_the_last)

    def _send(self, job_id: str, utterance: _Utterance, upto: int, *, to_the_last: bool) -> None:
        while (ready := upto - utterance.next_sample) >= ENTRY_SAMPLES or (to_the_last and ready > 0):
            count = ready if to_the_last else ready // ENTRY_SAMPLES * ENTRY_SAMPLES
            at_sample = max(utterance.next_sample, self._ring.start_sample)
            utterance.next_sample += min(count, ENTRY_MOST_SAMPLES)
            pcm = self._ring.read(at_sample, utterance.next_sample)
            if len(pcm):
                self._deliver(job_id, AudioEntry("audio", at_sample, bytes_of(pcm)))

    def _ask_end_of_turn(self) -> None:
        """Have the end-of-turn model judge the present pause, one at a time."""
        model, detector = self._end_of_turn, self._detector
        if model is None or detector is None or not detector.wants_judgement or self._judging is not None:
            return
        turn_start = detector.turn_start_sample
        pause_sample = detector.speech_end_sample
        detector.wants_judgement = False
        if turn_start is None:
            return
        pcm = self._ring.read(max(turn_start, self._heard_sample - JUDGED_SAMPLES), self._heard_sample)
        self._judging = asyncio.get_running_loop().create_task(
            self._judge(model, pcm, pause_sample), name="end-of-turn"
        )

    async def _judge(self, model: EndOfTurn, pcm: Int16Array, pause_sample: int) -> None:
        try:
            completeness = await asyncio.to_thread(model.completeness, pcm)
        except ProviderError as error:
            log.warning("no opinion on the end of a turn", error=error.code)
        else:
            if self._detector is not None:
                self._detector.judge(completeness, pause_sample)
        finally:
            self._judging = None
        self._ask_end_of_turn()
