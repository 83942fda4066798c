"""A scenario: what a caller says and does, the audio format, the backend's state, and the expected outcome. One small TOML file.

Defines and validates the format. `simulation` plays a scenario without sound and `play` in a live call; the scorers compare the
outcome with the expected one. The agent's kit defines the fields of expected facts.
"""

import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

import msgspec

from agentvoicebox.errors import ClientError


class BadScenario(ClientError):
    """The file is not a valid scenario. The message names the file and the fault."""

    code = "bad_scenario"


class SaidLine(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One line of the caller, with exactly one of `say`, `type` and `wav`.

    Attributes:
        say: text to speak.
        type: text to type.
        wav: recording to play; path relative to the scenario's file.
        heard: transcript of the line in a simulation; by default the text of the line.
        pause_ms: silence before the line, after the agent has finished.
        interrupt_ms: begin when this much of the reply was played, instead of waiting for its end.
        only_if: skip the line unless the agent's last reply contains these words (a caller who says yes when asked).
    """

    say: str = ""
    type: str = ""
    wav: str = ""
    heard: str | None = None
    pause_ms: int = 0
    interrupt_ms: int | None = None
    only_if: str = ""

    @property
    def words(self) -> str:
        """The expected transcript."""
        return self.say or self.type or Path(self.wav).stem


class Expect(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The expected outcome.

    Attributes:
        codes: outcome codes of tool calls, in order.
        facts: facts that the agent must state; the agent's kit defines their fields (`KitEvaluation.fact_fault`).
        says: words that the agent must say in any line; case and punctuation are ignored.
        never_says: words that the agent must not say.
    """

    codes: tuple[str, ...] = ()
    facts: tuple[dict[str, Any], ...] = ()
    says: tuple[str, ...] = ()
    never_says: tuple[str, ...] = ()


class Tolerance(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How far a run may differ from the expected outcome.

    Attributes:
        codes: `exact`, or `subsequence`: additional tool calls in between are allowed (the recogniser may mishear).
        days: `exact`, or `any`: another day is allowed (the data may change).
    """

    codes: Literal["exact", "subsequence"] = "exact"
    days: Literal["exact", "any"] = "exact"


class Scenario(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One file.

    Attributes:
        about: description in one sentence.
        seed: of everything random (ids, noise).
        audio: format on the wire; `pcmu` and `pcma` are a telephone's.
        noise_snr_db: signal-to-noise ratio of the caller's audio; None: no noise.
        backend: `up`, or `down`: the tools can't answer. Bring a live server into that state before you play the scenario.
        pause_ms: silence before each line.
        agent: name of the called agent; "": the agent of the first kit that has an evaluation.
    """

    name: str
    about: str
    lines: tuple[SaidLine, ...] = msgspec.field(name="line")
    seed: int = 1
    audio: Literal["pcm", "pcmu", "pcma"] = "pcm"
    noise_snr_db: float | None = None
    backend: Literal["up", "down"] = "up"
    pause_ms: int = 300
    agent: str = ""
    expect: Expect = Expect()
    tolerance: Tolerance = Tolerance()
    folder: str = ""


def parse(text: str, *, name: str, folder: Path | None = None) -> Scenario:
    """Parse the text of a scenario file.

    Args:
        text: TOML.
        name: file name without suffix; the scenario's name unless the file has another.
        folder: folder of recordings.

    Raises:
        BadScenario: with the fault.
    """
    try:
        data: dict[str, Any] = {"name": name, **tomllib.loads(text), "folder": str(folder or "")}
        scenario = msgspec.convert(data, Scenario)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise BadScenario(f"scenario {name}: {error}") from error
    if not scenario.lines:
        raise BadScenario(f"scenario {name}: the caller says nothing; add a [[line]]")
    for number, line in enumerate(scenario.lines, start=1):
        if sum(bool(each) for each in (line.say, line.type, line.wav)) != 1:
            raise BadScenario(f"scenario {name}: line {number} needs exactly one of say, type and wav")
    return scenario


def load(
    path: Path, fact_fault: Callable[[Scenario, Mapping[str, Any]], str] = lambda scenario, fact: ""
) -> list[Scenario]:
    """Read the scenario of a file, or all scenarios of a folder in the order of their names.

    Args:
        path: of the file or folder.
        fact_fault: (scenario, expected fact) → its fault; "" if it is valid.

    Raises:
        BadScenario: a file is invalid, or there is none.
    """
    files = sorted(path.glob("*.toml")) if path.is_dir() else [path]
    if not files or not all(file.is_file() for file in files):
        raise BadScenario(f"there is no scenario at {path}")
    scenarios = [parse(file.read_text(encoding="utf-8"), name=file.stem, folder=file.parent) for file in files]
    for scenario in scenarios:
        for fact in scenario.expect.facts:
            if fault := fact_fault(scenario, fact):
                raise BadScenario(f"scenario {scenario.name}: [[expect.facts]]: {fault}")
    return scenarios
