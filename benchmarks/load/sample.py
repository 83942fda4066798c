"""One measured moment of a call, as a value and as a line of JSON: from a caller's process to Locust, and into the file of a run.

Imports the standard library alone: both environments use it.
"""

import json
from dataclasses import asdict, dataclass
from typing import Any

SETUP = "setup"  # from dialling until the session is ready
VOICE_TO_VOICE = "voice to voice"  # from the caller's last voiced sample to the first audio of the answer
FIRST_AUDIO = (
    "first audio"  # from the end of the turn as the server tells it, or from sending a typed line, to the first audio
)
YIELD = "yield"  # from the first voiced sample of an interruption to the last sample of the agent that is heard
TURN = "turn"  # from the end of a line to the end of its answer, as it is played
CALL = "call"  # from dialling to hanging up
REFUSED = "refused"  # from asking to the refusal: limits at work, never a failure
LATENESS = "lateness"  # of a caller's own frames: the worst of each second of a call
KINDS = (VOICE_TO_VOICE, FIRST_AUDIO, YIELD, TURN, SETUP, REFUSED, CALL, LATENESS)


@dataclass(frozen=True)
class Sample:
    """One measured moment.

    Attributes:
        kind: one of KINDS; Locust's type of request.
        name: which calls, lines or limits it is about; Locust's name of a request.
        ms: how long it took.
        at_s: when it ended, Unix time.
        fault: why it failed; "" when it did not. Without ids of the call, so that equal faults are counted together.
    """

    kind: str
    name: str
    ms: float
    at_s: float
    fault: str = ""

    def as_line(self, call: int = 0) -> str:
        """As one line of JSON; `call` says of which call."""
        return json.dumps({**asdict(self), "call": call})

    @staticmethod
    def from_line(line: dict[str, Any]) -> "Sample":
        """From a line that `as_line` wrote."""
        return Sample(
            str(line["kind"]), str(line["name"]), float(line["ms"]), float(line["at_s"]), str(line.get("fault", ""))
        )
