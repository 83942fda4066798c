"""What the detector finds out. The engine knows the same facts under the same names; the gateway carries them over.

Positions are absolute caller samples at 16 kHz. Order within one turn, always: SpeechStarted, then any number of
(SpeechPaused, SpeechResumed), then SpeechPaused and SpeechStopped; or the turn is voided by a reset, without a fact.
"""

import msgspec


class SpeechStarted(msgspec.Struct, frozen=True):
    """A turn began. `start_sample` includes the prefix padding, but no sample of an earlier turn."""

    start_sample: int


class SpeechPaused(msgspec.Struct, frozen=True):
    """The first silence long enough to act on. `speech_end_sample` is just after the last voiced window."""

    speech_end_sample: int


class SpeechResumed(msgspec.Struct, frozen=True):
    """The caller went on after a pause."""


class SpeechStopped(msgspec.Struct, frozen=True):
    """The turn is over: its audio reaches to `end_sample`, its last voiced window to `speech_end_sample`."""

    end_sample: int
    speech_end_sample: int


Fact = SpeechStarted | SpeechPaused | SpeechResumed | SpeechStopped
