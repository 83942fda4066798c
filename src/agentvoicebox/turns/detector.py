"""The caller's turns: combines gate, endpointing and barge-in as configured by a client's `turn_detection`.

Decides when a turn begins, pauses, resumes and ends. Speech probabilities come from a model; what a turn means (commit,
interrupt, answer) is decided by the engine. Time is counted in samples; nothing here waits.

Invariant: a turn has one SpeechStarted and at most one SpeechStopped, and turns do not overlap; facts come in the order that
`facts` documents.
"""

from agentvoicebox.audio.pcm import samples_of_ms
from agentvoicebox.turns.barge_in import least_voiced_ms
from agentvoicebox.turns.endpointing import SemanticSilence, TurnEndEvidence, endpointing_of
from agentvoicebox.turns.facts import Fact, SpeechPaused, SpeechResumed, SpeechStarted, SpeechStopped
from agentvoicebox.turns.vad import GateChange, SpeechGate
from agentvoicebox.wire.audio_config import TurnDetection

PAUSE_MS = 160  # five windows: longer than the closures inside words, and early enough to hide recognition in the wait


class Detector:
    """One caller's turns. With `turn_detection` None it finds none: the client marks its turns.

    Attributes:
        agent_is_speaking: set by the owner; while true, it takes longer speech to open a turn.
        wants_completeness: a pause began, and an end-of-turn model should be asked; the caller that asks clears it.
    """

    def __init__(self, turn_detection: TurnDetection | None, *, floor_sample: int = 0) -> None:
        """A detector outside any turn. No turn will begin before `floor_sample`."""
        self.agent_is_speaking = False
        self.wants_completeness = False
        self._floor_sample = floor_sample
        self._turn_start: int | None = None
        self._evidence = TurnEndEvidence()
        self._gate: SpeechGate | None = None
        if turn_detection is not None:
            self.retune(turn_detection)

    def retune(self, turn_detection: TurnDetection) -> None:
        """Use other settings from now on; an open turn goes on under them."""
        self._endpointing = endpointing_of(turn_detection)
        self._is_semantic = isinstance(self._endpointing, SemanticSilence)
        self._prefix_samples = samples_of_ms(turn_detection.prefix_padding_ms)
        hangover_ms = min(PAUSE_MS, PAUSE_MS if self._is_semantic else turn_detection.silence_duration_ms)
        if self._gate is None:
            self._gate = SpeechGate(turn_detection.threshold, hangover_ms)
        else:
            self._gate.configure(turn_detection.threshold, hangover_ms)

    @property
    def turn_start_sample(self) -> int | None:
        """Where the open turn begins, or None outside a turn."""
        return self._turn_start

    @property
    def speech_end_sample(self) -> int:
        """Just after the last voiced window."""
        return 0 if self._gate is None else self._gate.voiced_end_sample

    def feed(self, probability: float, window_end_sample: int) -> list[Fact]:
        """Process the speech probability (0 to 1) of the next 32 ms window; returns its facts in order."""
        if self._gate is None or window_end_sample <= self._floor_sample:
            return []
        in_turn = self._turn_start is not None
        least_ms = least_voiced_ms(agent_is_speaking=self.agent_is_speaking and not in_turn)
        facts: list[Fact] = []
        match self._gate.feed(probability, window_end_sample, least_ms):
            case GateChange.OPENED if in_turn:
                self._reset_evidence()
                facts.append(SpeechResumed())
            case GateChange.OPENED:
                self._turn_start = max(self._floor_sample, self._gate.onset_sample - self._prefix_samples)
                facts.append(SpeechStarted(self._turn_start))
            case GateChange.CLOSED:
                self.wants_completeness = self._is_semantic
                facts.append(SpeechPaused(self._gate.voiced_end_sample))
        if self._has_ended(window_end_sample):
            facts.append(SpeechStopped(window_end_sample, self._gate.voiced_end_sample))
            self._turn_start = None
            self._floor_sample = window_end_sample
            self._reset_evidence()
        return facts

    def end_turn(self, at_sample: int) -> list[Fact]:
        """No more audio comes: the open turn, if any, ends at `at_sample` as if silence had come. Returns its facts in order."""
        gate = self._gate
        if gate is None or self._turn_start is None:
            return []
        paused = [SpeechPaused(gate.voiced_end_sample)] if gate.is_open else []
        stopped = SpeechStopped(max(at_sample, gate.voiced_end_sample), gate.voiced_end_sample)
        self.reset(stopped.end_sample)
        return [*paused, stopped]

    def turn_wait_ms(self) -> float:
        """How much silence ends the open turn, by the evidence so far."""
        return self._endpointing.wait_ms(self._evidence)

    def set_transcript(self, text: str, speech_end_sample: int | None = None) -> None:
        """Set the recogniser's text up to the present pause. Text of another `speech_end_sample` is stale, and ignored."""
        if self._is_pausing_at(speech_end_sample):
            self._evidence = TurnEndEvidence(text, self._evidence.completeness)

    def set_completeness(self, completeness: float, speech_end_sample: int | None = None) -> None:
        """Set the end-of-turn model's value for the present pause: 0 (will go on) to 1 (finished). Stale values are ignored."""
        if self._is_pausing_at(speech_end_sample):
            self._evidence = TurnEndEvidence(self._evidence.text, completeness)

    def restore(self, turn_start_sample: int, pause_sample: int | None, at_sample: int) -> None:
        """Go on with a turn that another detector opened: speaking at `at_sample`, or pausing since `pause_sample`."""
        self._turn_start = turn_start_sample
        if self._gate is not None:
            self._gate.restore(pause_sample, at_sample)

    def reset(self, floor_sample: int = 0) -> None:
        """Discard the open turn, if any, without a fact. No later turn begins before `floor_sample`."""
        if self._gate is not None:
            self._gate.reset()
        self._turn_start = None
        self._reset_evidence()
        self.raise_floor(floor_sample)

    def raise_floor(self, floor_sample: int) -> None:
        """No later turn begins before `floor_sample`; an open one goes on."""
        self._floor_sample = max(self._floor_sample, floor_sample)

    def _has_ended(self, window_end_sample: int) -> bool:
        gate = self._gate
        if gate is None or self._turn_start is None or gate.is_open or gate.may_open:
            return False
        return gate.silence_ms(window_end_sample) >= self._endpointing.wait_ms(self._evidence)

    def _is_pausing_at(self, speech_end_sample: int | None) -> bool:
        gate = self._gate
        if gate is None or self._turn_start is None or gate.is_open:
            return False
        return speech_end_sample is None or speech_end_sample == gate.voiced_end_sample

    def _reset_evidence(self) -> None:
        self._evidence = TurnEndEvidence()
        self.wants_completeness = False
