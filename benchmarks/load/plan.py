"""What a load run is: the server, the keys, the callers.

It holds keys, so it travels to Locust as a file that only its owner can read, and that Locust deletes. It imports the standard
library alone, because both environments use it.
"""

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

VARIABLE = "LOAD_PLAN"  # names the file, for Locust
CALLS_A_PROCESS = (
    50  # a call costs 0.2 to 0.5 % of a core: a process stays far from full, so that its frames are on time
)


@dataclass(frozen=True)
class Plan:
    """A run.

    Attributes:
        urls: base URLs of the gateways, as for OpenAI clients; calls take them in turn, and resume at the others.
        keys: of the callers, in turn; one of each tenant.
        limited_key: of a tenant with a small limit, so that refusals are part of the load; "": no such callers.
        model: the agent.
        audio: format on the wire.
        ca_file: certificate to trust beside the system's; "": none.
        calls: calls at once.
        ramp_s: time in which they begin.
        seconds: measured after that.
        pause_s: between two calls of a caller, at most.
        processes: of callers.
        python: interpreter of the project's environment, which runs those processes.
        speech: folder of the callers' lines.
        samples: file that gets every sample.
        reply_timeout_s: after which an answer counts as missing.
    """

    urls: tuple[str, ...]
    keys: tuple[str, ...]
    limited_key: str
    model: str
    audio: str
    ca_file: str
    calls: int
    ramp_s: float
    seconds: float
    pause_s: float
    processes: int
    python: str
    speech: str
    samples: str
    reply_timeout_s: float = 30.0

    def write(self, path: Path) -> None:
        """Write it, readable by its owner alone."""
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            json.dump(asdict(self), file)

    def as_line(self) -> str:
        """As one line of JSON."""
        return json.dumps(asdict(self))

    @staticmethod
    def from_line(line: str) -> "Plan":
        """From what `as_line` or `write` wrote."""
        fields = json.loads(line)
        return Plan(**{**fields, "urls": tuple(fields["urls"]), "keys": tuple(fields["keys"])})
