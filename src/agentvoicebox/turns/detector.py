"""The caller's turns: combines gate, endpointing and barge-in as configured by a client's `turn_detection`.

Decides when a turn begins, pauses, resumes and ends. Speech probabilities come from a model; what a turn means (commit,
interrupt, answer) is decided by the engine. Time is counted in samples; nothing here waits.

Invariant: a turn has one SpeechStarted and at most one SpeechStopped, and turns do not overlap; facts come in the order that
`facts` documents.
"""

from collections.abc import Sequence

import msgspec

from agentvoicebox.audio.pcm import samples_of_ms
from agentvoicebox.turns.agent_evidence import AgentEvidence, ExpectedAnswer, Proof
from agentvoicebox.turns.barge_in import BargeInVerdict, Suspicion, least_voiced_ms
from agentvoicebox.turns.endpointing import SemanticSilence, TurnEndEvidence, endpointing_of
from agentvoicebox.turns.facts import (
    Fact,
    SpeechIgnored,
    SpeechPaused,
    SpeechResumed,
    SpeechStarted,
    SpeechStopped,
    SpeechSuspected,
)
from agentvoicebox.turns.rhythm import CallerRhythm
from agentvoicebox.turns.vad import GateChange, SpeechGate
from agentvoicebox.wire.audio_config import TurnDetection

# One window: the recogniser works while the wait goes on, and hears as well with 32 ms of silence as with 64 or 160. Two windows
# saved 6 % of its work on the corpus of `benchmarks/endpointing`, and cost callers 32 ms.
PROBE_MS = 32
PAUSE_MS = 64  # where no turn is open, and under server_vad: a shorter dip is no pause


class Detector:
    """One caller's turns. With `turn_detection` None it finds none: the client marks its turns.

    Attributes:
        agent_is_speaking: set by the owner; while true, a voice is judged before it opens a turn, or must be longer.
        agent_is_asking: set by the owner; what the agent says now is a question, and a "yeah" is its answer.
        suspicion: of the voice that is being judged.
        wants_completeness: a pause began, and an end-of-turn model should be asked; the caller that asks clears it.
        votes_ms: of the last turn that silence ended; see `Endpointing.votes_ms`.
    """

    def __init__(
        self,
        turn_detection: TurnDetection | None,
        *,
        floor_sample: int = 0,
        agent: AgentEvidence | None = None,
        judges_interruptions: bool = True,
    ) -> None:
        """A detector outside any turn. No turn will begin before `floor_sample`; `agent` knows its callers' turns.

        `judges_interruptions`: a voice that may interrupt the agent is suspected first; see `turns.barge_in`.
        """
        self.agent_is_speaking = False
        self.agent_is_asking = False
        self.suspicion: Suspicion | None = None
        self._judges_interruptions = judges_interruptions
        self._may_interrupt = False
        self.wants_completeness = False
        self._is_model_due = False
        self.votes_ms: dict[str, float] = {}
        self._floor_sample = floor_sample
        self._turn_start: int | None = None
        self._agent = agent or AgentEvidence()
        self._rhythm = CallerRhythm()
        self._expected = ExpectedAnswer.ANYTHING
        self._evidence = TurnEndEvidence()
        self._answer_ms: float | None = None  # silence of the present pause when the answer lay ready
        self._fed_sample = floor_sample  # just after the last window
        self._gate: SpeechGate | None = None
        if turn_detection is not None:
            self.retune(turn_detection)

    def retune(self, turn_detection: TurnDetection) -> None:
        """Use other settings from now on; an open turn goes on under them."""
        self._endpointing = endpointing_of(turn_detection)
        self._may_interrupt = turn_detection.interrupt_response
        self._is_semantic = isinstance(self._endpointing, SemanticSilence)
        self._prefix_samples = samples_of_ms(turn_detection.prefix_padding_ms)
        self._pause_ms = min(PAUSE_MS, PAUSE_MS if self._is_semantic else turn_detection.silence_duration_ms)
        if self._gate is None:
            self._gate = SpeechGate(turn_detection.threshold, self._pause_ms)
        else:
            self._gate.configure(turn_detection.threshold, self._pause_ms)

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
        self._fed_sample = window_end_sample
        if self.suspicion is not None:
            return self._judge_suspicion(self.suspicion, self._gate, probability, window_end_sample)
        in_turn = self._turn_start is not None
        self._gate.hangover_ms = PROBE_MS if in_turn and self._is_semantic else self._pause_ms
        is_over_agent = self.agent_is_speaking and not in_turn
        is_judged = is_over_agent and self._judges_interruptions and self._may_interrupt and not self.agent_is_asking
        least_ms = least_voiced_ms(agent_is_speaking=is_over_agent, is_judged=is_judged)
        facts: list[Fact] = []
        match self._gate.feed(probability, window_end_sample, least_ms):
            case GateChange.OPENED if in_turn:
                self._rhythm.went_on(self._gate.onset_sample)
                self._reset_evidence()
                facts.append(SpeechResumed())
            case GateChange.OPENED:
                start_sample = max(self._floor_sample, self._gate.onset_sample - self._prefix_samples)
                if is_judged:
                    self.suspicion = Suspicion(start_sample, self._gate.onset_sample)
                    return [SpeechSuspected(start_sample)]
                self._rhythm.went_on(self._gate.onset_sample)
                self._reset_evidence()
                self._turn_start = start_sample
                facts.append(SpeechStarted(start_sample))
            case GateChange.CLOSED:
                self._rhythm.paused(self._gate.voiced_end_sample)
                self._is_model_due = self._is_semantic
                facts.append(SpeechPaused(self._gate.voiced_end_sample))
        # The model hears how a voice ends, and needs some silence after it.
        is_silent = not self._gate.may_open and self._gate.silence_ms(window_end_sample) >= PAUSE_MS
        if self._is_model_due and is_silent:
            self._is_model_due, self.wants_completeness = False, True
        return [*facts, *self.judge()]

    def judge(self) -> list[Fact]:
        """Decide on what was fed so far, with the evidence of now: SpeechStopped if the turn is over, else nothing."""
        gate = self._gate
        if gate is None or not self._has_ended():
            return []
        self.votes_ms = self._endpointing.votes_ms(self._evidence)
        if self._is_semantic and self._answer_ms is not None:
            self.votes_ms["answer"] = self._answer_ms
        self._turn_start = None
        self._floor_sample = self._fed_sample
        self._reset_evidence()
        return [SpeechStopped(self._fed_sample, gate.voiced_end_sample)]

    def end_turn(self, at_sample: int) -> list[Fact]:
        """No more audio comes: the open turn, if any, ends at `at_sample` as if silence had come. Returns its facts in order."""
        gate = self._gate
        if gate is not None and self.suspicion is not None:
            verdict = self.suspicion.verdict(
                voiced_end=gate.voiced_end_sample, now_sample=max(at_sample, gate.voiced_end_sample), is_open=False
            )
            decided = self._decided(self.suspicion, gate, verdict or BargeInVerdict.INTERRUPTION)
            return [*decided, *(self.end_turn(at_sample) if self._turn_start is not None else ())]
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
        if self.suspicion is not None and speech_end_sample is not None:
            self.suspicion.answered(text, speech_end_sample)
        if self._is_pausing_at(speech_end_sample):
            self._add(text=text, doubt=self._agent.doubt(text, self._expected))

    def set_completeness(self, completeness: float, speech_end_sample: int | None = None) -> None:
        """Set the end-of-turn model's value for the present pause: 0 (will go on) to 1 (finished). Stale values are ignored."""
        if self._is_pausing_at(speech_end_sample):
            self._add(completeness=completeness)

    def set_question(self, question: str) -> None:
        """Set what the agent said last."""
        expected = self._agent.expects(question)
        if expected is not self._expected:
            self._expected = expected
            text = self._evidence.text
            self._add(expected=expected, doubt=None if text is None else self._agent.doubt(text, expected))

    def set_tool_outputs(self, outputs: Sequence[tuple[str, str]], speech_end_sample: int | None = None) -> None:
        """Set what tools that ran on the text of the present pause returned: (name, output), in order. Stale ones are ignored."""
        if self._is_pausing_at(speech_end_sample):
            text = self._evidence.text or ""
            proofs = [self._agent.proves(name, output, text) for name, output in outputs]
            self._add(proof=next((each for each in reversed(proofs) if each is not Proof.NOTHING), Proof.NOTHING))

    def answer_is_ready(self, speech_end_sample: int | None = None) -> None:
        """The first sound of the answer to the present pause lies ready, or none will: an end of the turn may take effect.

        Stale news are ignored, as with `set_transcript`.
        """
        if self._gate is not None and self._answer_ms is None and self._is_pausing_at(speech_end_sample):
            self._answer_ms = self._gate.silence_ms(self._fed_sample)

    def restore(self, turn_start_sample: int, pause_sample: int | None, at_sample: int) -> None:
        """Go on with a turn that another detector opened: speaking at `at_sample`, or pausing since `pause_sample`."""
        self._turn_start = turn_start_sample
        self._fed_sample = at_sample
        if self._gate is not None:
            self._gate.restore(pause_sample, at_sample)

    def restore_suspicion(self, start_sample: int, at_sample: int) -> None:
        """Go on with a suspicion of another detector, whose voice went on at `at_sample`."""
        if self._gate is not None:
            self.suspicion = Suspicion(start_sample, min(at_sample, start_sample + self._prefix_samples))
            self._gate.restore(None, at_sample)

    def words_wanted(self, now_sample: int) -> int | None:
        """The position up to which a suspicion wants the recogniser's words now; see `Suspicion.probe`."""
        suspicion, gate = self.suspicion, self._gate
        if suspicion is None or gate is None:
            return None
        return suspicion.probe(voiced_end=gate.voiced_end_sample, now_sample=now_sample, is_open=gate.is_open)

    def reset(self, floor_sample: int = 0) -> None:
        """Discard the open turn or suspicion, if any, without a fact. No later turn begins before `floor_sample`."""
        self.suspicion = None
        if self._gate is not None:
            self._gate.reset()
        self._turn_start = None
        self._reset_evidence()
        self.raise_floor(floor_sample)

    def raise_floor(self, floor_sample: int) -> None:
        """No later turn begins before `floor_sample`; an open one goes on."""
        self._floor_sample = max(self._floor_sample, floor_sample)

    def _judge_suspicion(
        self, suspicion: Suspicion, gate: SpeechGate, probability: float, window_end_sample: int
    ) -> list[Fact]:
        gate.hangover_ms = self._pause_ms
        gate.feed(probability, window_end_sample, least_voiced_ms(agent_is_speaking=True, is_judged=True))
        verdict = suspicion.verdict(
            voiced_end=gate.voiced_end_sample, now_sample=window_end_sample, is_open=gate.is_open or gate.may_open
        )
        return [] if verdict is None else self._decided(suspicion, gate, verdict)

    def _decided(self, suspicion: Suspicion, gate: SpeechGate, verdict: BargeInVerdict) -> list[Fact]:
        """The end of a suspicion. What was asked meanwhile is answered by a "yeah"."""
        self.suspicion = None
        if verdict is BargeInVerdict.NOTHING and not self.agent_is_asking:
            self.reset(gate.voiced_end_sample)  # what follows at once may be a turn: "okay … stop"
            return [SpeechIgnored(gate.voiced_end_sample)]
        self._rhythm.went_on(suspicion.onset_sample)
        self._reset_evidence()
        self._turn_start = max(self._floor_sample, suspicion.start_sample)
        started = SpeechStarted(self._turn_start)
        if gate.is_open:
            return [started]
        if suspicion.text is not None and suspicion.text_end_sample == gate.voiced_end_sample:
            self._add(text=suspicion.text, doubt=self._agent.doubt(suspicion.text, self._expected))
        self._rhythm.paused(gate.voiced_end_sample)
        self.wants_completeness = self._is_semantic
        return [started, SpeechPaused(gate.voiced_end_sample)]

    def _has_ended(self) -> bool:
        gate = self._gate
        if gate is None or self._turn_start is None or gate.is_open or gate.may_open:
            return False
        silence_ms = gate.silence_ms(self._fed_sample)
        if silence_ms < self._endpointing.wait_ms(self._evidence):
            return False
        return self._answer_ms is not None or silence_ms >= self._endpointing.hold_ms

    def _is_pausing_at(self, speech_end_sample: int | None) -> bool:
        gate = self._gate
        if gate is None or self._turn_start is None or gate.is_open:
            return False
        return speech_end_sample is None or speech_end_sample == gate.voiced_end_sample

    def _add(self, **more: object) -> None:
        self._evidence = msgspec.structs.replace(self._evidence, **more)

    def _reset_evidence(self) -> None:
        self._evidence = TurnEndEvidence(expected=self._expected, longest_pause_ms=self._rhythm.longest_pause_ms)
        self._answer_ms = None
        self.wants_completeness = self._is_model_due = False
