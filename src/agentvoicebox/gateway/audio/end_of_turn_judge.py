"""Has an end-of-turn model judge pauses: one at a time, in a thread."""

import asyncio
from collections.abc import Callable

from agentvoicebox.audio.pcm import Int16Array
from agentvoicebox.audio.rates import INPUT_RATE_HZ
from agentvoicebox.audio.ring import AudioRing
from agentvoicebox.errors import ProviderError
from agentvoicebox.ports.providers import EndOfTurn
from agentvoicebox.telemetry.logs import get_logger
from agentvoicebox.turns.detector import Detector

JUDGED_SAMPLES = 8 * INPUT_RATE_HZ  # what the model gets

Judged = Callable[[float | None, int], None]

log = get_logger(__name__)


class EndOfTurnJudge:
    """One session's.

    Args:
        model: judges.
        ring: holds the session's audio.
        judged: called with the completeness, 0 to 1, or None when the model failed, and with the sample at which the pause began.
    """

    def __init__(self, model: EndOfTurn, ring: AudioRing, judged: Judged) -> None:
        self._model = model
        self._ring = ring
        self._judged = judged
        self._judging: asyncio.Task[None] | None = None

    def ask(self, detector: Detector, end_sample: int) -> None:
        """Judge the detector's present pause by the audio before `end_sample`, if it wants that and nothing is judged now."""
        if not detector.wants_completeness or self._judging is not None:
            return
        turn_start = detector.turn_start_sample
        pause_sample = detector.speech_end_sample
        detector.wants_completeness = False
        if turn_start is None:
            return
        pcm = self._ring.read(max(turn_start, end_sample - JUDGED_SAMPLES), end_sample)
        self._judging = asyncio.get_running_loop().create_task(self._judge(pcm, pause_sample), name="end-of-turn")

    def close(self) -> None:
        """Judge nothing more. Idempotent."""
        if self._judging is not None:
            self._judging.cancel()

    async def _judge(self, pcm: Int16Array, pause_sample: int) -> None:
        completeness = None
        try:
            completeness = await asyncio.to_thread(self._model.completeness, pcm)
        except ProviderError as error:
            log.warning("the end-of-turn model failed", code=error.code, reason=error.message)
        finally:
            self._judging = None
        self._judged(completeness, pause_sample)
