"""The detector's facts. They are inputs of the engine as they are, and stored in session logs.

Positions are absolute caller samples at 16 kHz. Order within one turn, always: SpeechStarted, then any number of
(SpeechPaused, SpeechResumed), then SpeechPaused and SpeechStopped; or a reset discards the turn, without a fact. A voice over the
agent's may be suspected first: then SpeechSuspected comes before SpeechStarted, or SpeechIgnored ends it and there is no turn.
"""

import msgspec


class SpeechSuspected(msgspec.Struct, frozen=True, tag="speech_suspected"):
    """A voice over the agent's: the beginning of a turn that interrupts it, or a listener's "mm-hmm".

    `start_sample`: where the turn begins, if it is one; see SpeechStarted.
    """

    start_sample: int


class SpeechIgnored(msgspec.Struct, frozen=True, tag="speech_ignored"):
    """What was suspected is no turn. The caller's audio before `end_sample` belongs to none."""

    end_sample: int


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


Fact = SpeechSuspected | SpeechIgnored | SpeechStarted | SpeechPaused | SpeechResumed | SpeechStopped
