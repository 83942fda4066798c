"""How much speech is synthesised for one call: as fast as it can be heard, with room for answers that are interrupted.

A client that asks for answer after answer without playing them would keep the workers busy, and its neighbours waiting.
"""

from agentvoicebox.clock import Clock
from agentvoicebox.engine.jobs import Synthesise
from agentvoicebox.resilience.token_bucket import TokenBucket

BURST_S = 8.0  # of the rate
CHARACTERS_PER_S = 15.0  # of spoken text
LEAST_S = 0.5  # what any job costs
LONGEST_WAIT_S = 20.0  # then a job is refused: it would be late for any caller


class SpeechPace:
    """One call's. Args: per_s: seconds of speech a second; 0: no limit."""

    def __init__(self, per_s: float, clock: Clock) -> None:
        self._bucket = TokenBucket(per_s, per_s * BURST_S)
        self._clock = clock

    def take(self, request: Synthesise) -> float:
        """Charge a text that is to be spoken. Returns for how many seconds its synthesis has to wait."""
        return self._bucket.take(self._clock.monotonic_s(), _speech_s(request))

    def give_back(self, request: Synthesise) -> None:
        """A text is not spoken after all."""
        self._bucket.give_back(_speech_s(request))


def _speech_s(request: Synthesise) -> float:
    return max(LEAST_S, len(request.text) / CHARACTERS_PER_S / request.speed)
