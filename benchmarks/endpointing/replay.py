"""One recorded turn through the product's own detector: when its end was decided, and when the answer's first sound was ready.

The detector, its evidence and the delivery dialogue are those of the product. Simulated is the time around them: frames of 20 ms,
a recogniser that decodes one probe after the other, and a voice; their times are recorded ones.
"""

import heapq
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import msgspec
from benchmarks.endpointing.call_so_far import call_so_far
from benchmarks.endpointing.recorded_turn import Decode, RecordedTurn

from agentvoicebox.audio.rates import INPUT_RATE_HZ
from agentvoicebox.engine.jobs import ChatMessage, ToolSpec
from agentvoicebox.turns.agent_evidence import AgentEvidence
from agentvoicebox.turns.detector import Detector
from agentvoicebox.turns.facts import Fact, SpeechPaused, SpeechResumed, SpeechStopped
from agentvoicebox.turns.vad import WINDOW_SAMPLES
from agentvoicebox.wire.audio_config import TurnDetection
from agentvoicebox.workers.prepared_lines import segments_of
from agentvoicebox_delivery.dialogue.moves import next_move
from agentvoicebox_delivery.dialogue.state import Say
from agentvoicebox_delivery.evals.id_caller import RunLookUp
from agentvoicebox_delivery.kit import DeliveryKit
from agentvoicebox_delivery.parcels import tool_schema

TOOL = ToolSpec(tool_schema.NAME, tool_schema.DESCRIPTION, tool_schema.PARAMETERS)
FRAME_MS = 20.0  # a window is judged when the frame that ends it has come
HOP_MS = 2.0  # through the store
DIALOGUE_MS = 6.0
LOOK_UP_MS = 20.0
PREPARED_MS = 2.0  # of a line that was rendered before any call
SAME_PAUSE_SAMPLES = INPUT_RATE_HZ // 8  # a pause that another hangover finds is the recorded one when it is so near


class Machine(msgspec.Struct, frozen=True):
    """What engines take.

    Attributes:
        decode_share: times the recorded time of a decode.
        first_chunk_ms: a voice's time to its first sound.
    """

    decode_share: float
    first_chunk_ms: float


@dataclass
class TurnOutcome:
    """How one turn ended. Times are ms after the caller's last sound.

    Attributes:
        is_cut: it was ended before its last piece was said.
        decision_ms: its end was decided; None: not in the recording.
        first_sound_ms: the first sound of the answer could leave; None where there is none, or it was cut.
        words_ms: the recogniser's words for all of it came; None: not in time.
        probes: decodes that began.
    """

    is_cut: bool = False
    decision_ms: float | None = None
    first_sound_ms: float | None = None
    words_ms: float | None = None
    probes: int = 0


class Replay:
    """One turn under one setting."""

    def __init__(
        self, turn: RecordedTurn, detection: TurnDetection, agent: AgentEvidence, desk: RunLookUp, machine: Machine
    ) -> None:
        self._turn = turn
        self._desk = desk
        self._machine = machine
        self._detector = Detector(detection, agent=agent)
        self._detector.set_question(turn.asked)
        self._queue: list[tuple[float, int, Callable[[float], None]]] = []
        self._count = 0
        self._pause: int | None = None
        self._sound = (-1, 0.0)  # for which pause the first sound lies ready, and since when
        self._busy_ms = 0.0  # until when the recogniser decodes
        self._outcome = TurnOutcome()
        self._end_ms = turn.end_sample * 1000 / INPUT_RATE_HZ
        self._is_over = False

    def run(self) -> TurnOutcome:
        """Play the turn."""
        for number in range(1, len(self._turn.probabilities) + 1):
            at_ms = number * WINDOW_SAMPLES * 1000 / INPUT_RATE_HZ + FRAME_MS
            self._at(at_ms, lambda now_ms, number=number: self._window(number, now_ms))  # type: ignore[misc]
        while self._queue and self._outcome.first_sound_ms is None:
            now_ms, _, act = heapq.heappop(self._queue)
            act(now_ms)
            if self._outcome.is_cut:
                break
        return self._outcome

    def _at(self, at_ms: float, act: Callable[[float], None]) -> None:
        self._count += 1
        heapq.heappush(self._queue, (at_ms, self._count, act))

    def _window(self, number: int, now_ms: float) -> None:
        if not self._is_over:
            value = self._turn.probabilities[number - 1] / 255
            self._take(self._detector.feed(value, number * WINDOW_SAMPLES), now_ms)

    def _take(self, facts: list[Fact], now_ms: float) -> None:
        for fact in facts:
            match fact:
                case SpeechPaused(speech_end_sample=sample):
                    self._pause = sample
                    self._at(max(now_ms + HOP_MS, self._busy_ms), lambda at, s=sample: self._decode(s, at))  # type: ignore[misc]
                case SpeechResumed():
                    self._pause = None
                case SpeechStopped(speech_end_sample=sample):
                    self._is_over = True
                    self._outcome.is_cut = sample < self._turn.last_piece_sample
                    self._outcome.decision_ms = now_ms - self._end_ms
                    if self._sound[0] == sample and not self._outcome.is_cut:
                        self._outcome.first_sound_ms = self._outcome.decision_ms
                case _:
                    pass

    def _decode(self, sample: int, now_ms: float) -> None:
        if self._pause != sample:
            return  # dropped before it began
        if now_ms < self._busy_ms:
            self._at(self._busy_ms, lambda at: self._decode(sample, at))
            return
        decode = self._nearest(sample)
        self._outcome.probes += 1
        self._busy_ms = now_ms + decode.ms * self._machine.decode_share
        self._at(self._busy_ms + HOP_MS, lambda at: self._words(sample, decode.text, at))

    def _words(self, sample: int, text: str, now_ms: float) -> None:
        if self._pause != sample:
            return
        if sample > self._turn.last_piece_sample:
            self._outcome.words_ms = now_ms - self._end_ms
        if not self._is_over:
            self._detector.set_transcript(text, sample)
            self._take(self._detector.judge(), now_ms)
        if not text:
            self._ready(sample, now_ms, has_sound=False)
            return
        move = next_move([*call_so_far(self._turn.asked), ChatMessage("user", text)], [TOOL])
        if isinstance(move, Say):
            sound_ms = PREPARED_MS if segments_of([move.text])[0] in _prepared() else self._machine.first_chunk_ms
            self._at(now_ms + DIALOGUE_MS + sound_ms, lambda at: self._ready(sample, at))
            return
        output = self._desk(move.arguments)
        self._at(now_ms + DIALOGUE_MS + LOOK_UP_MS, lambda at: self._looked_up(sample, output, at))

    def _looked_up(self, sample: int, output: str, now_ms: float) -> None:
        if self._pause != sample:
            return
        if not self._is_over:
            self._detector.set_tool_outputs(((tool_schema.NAME, output),), sample)
            self._take(self._detector.judge(), now_ms)
        self._at(now_ms + DIALOGUE_MS + self._machine.first_chunk_ms, lambda at: self._ready(sample, at))

    def _ready(self, sample: int, now_ms: float, *, has_sound: bool = True) -> None:
        if self._pause != sample:
            return
        if has_sound:
            self._sound = sample, now_ms
        if not self._is_over:
            self._detector.answer_is_ready(sample)
            self._take(self._detector.judge(), now_ms)
        elif has_sound and not self._outcome.is_cut:
            self._outcome.first_sound_ms = now_ms - self._end_ms

    def _nearest(self, sample: int) -> Decode:
        near = min(
            self._turn.decodes, key=lambda each: abs(each.speech_end_sample - sample), default=Decode(sample, "", 0.0)
        )
        return near if abs(near.speech_end_sample - sample) <= SAME_PAUSE_SAMPLES else Decode(sample, "", near.ms)


@cache
def _prepared() -> frozenset[str]:
    """What the delivery agent's voice has rendered before a call."""
    return frozenset(segments_of(DeliveryKit().prepared_lines()))
