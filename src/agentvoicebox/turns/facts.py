"""The detector's facts. They are inputs of the engine as they are, and stored in session logs.

Positions are absolute caller samples at 16 kHz. Order within one turn, always: SpeechStarted, then any number of
(SpeechPaused, SpeechResumed), then SpeechPaused and SpeechStopped; or a reset discards the turn, without a fact.
"""

import msgspec


class SpeechStarted(msgspec.Struct, frozen=True, tag="speech_started"):
    """A turn began. `start_sample` includes the prefix padding, but no sample of an earlier turn."""

    start_sample: int


class SpeechPaused(msgspec.Struct, frozen=True, tag="speech_paused"):
    """The first silence long enough to act on: the turn may be over.

    Attributes:
        speech_end_sample: just after the last voiced window.
    """

    speech_end_sample: int


class SpeechResumed(msgspec.Struct, frozen=True, tag="speech_resumed"):
    """The caller went on after a pause: what was begun on the pause is void."""


class SpeechStopped(msgspec.Struct, frozen=True, tag="speech_stopped"):
    """The turn is over.

    Attributes:
        end_sample: how far the turn's audio reaches, the silence included.
        speech_end_sample: just after the last voiced window: the same as the last SpeechPaused's.
    """

    end_sample: int
    speech_end_sample: int


Fact = SpeechStarted | SpeechPaused | SpeechResumed | SpeechStopped
