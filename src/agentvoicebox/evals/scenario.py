"""A scenario: what a caller says and does, on which line, with which backend, and the expected outcome. One small TOML file.

Decides the format and names every fault of a file. `simulation` plays it without sound, `play` over a live socket; the scorers
compare the outcome with what is expected. What an expected fact looks like is up to the agent's kit.
"""

import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

import msgspec

from agentvoicebox.errors import ClientError


class BadScenario(ClientError):
    """The file makes no scenario. The message names the file and the fault."""

    code = "bad_scenario"


class SaidLine(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One line of the caller; exactly one of `say`, `type` and `wav` is given.

    Attributes:
        say: spoken. type: typed. wav: a recording, relative to the scenario's file.
        heard: the transcript in a simulation, where there is no sound; by default what is said.
        pause_ms: silence before it, after the agent has finished.
        interrupt_ms: instead of waiting for the end of the reply, begin once so much of it was heard.
        only_if: say it only when the agent's last reply holds these words (a caller who says yes when asked).
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
        """What a transcript should hold."""
        return self.say or self.type or Path(self.wav).stem


class Expect(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The expected outcome.

    Attributes:
        codes: outcomes of look-ups, in order.
        facts: that the caller must have been told; the agent's kit defines their fields (`KitEvaluation.fact_fault`).
        says: words that the agent must have said, in any line; case and marks don't count.
        never_says: words that it must not have said.
    """

    codes: tuple[str, ...] = ()
    facts: tuple[dict[str, Any], ...] = ()
    says: tuple[str, ...] = ()
    never_says: tuple[str, ...] = ()


class Tolerance(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How far a run may be from what is expected and still be the same.

    Attributes:
        codes: `exact`, or `subsequence`: further look-ups in between are no fault (a caller who was misheard).
        days: `exact`, or `any`: another day of arrival is no fault (a catalogue that lives).
    """

    codes: Literal["exact", "subsequence"] = "exact"
    days: Literal["exact", "any"] = "exact"


class Scenario(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One file.

    Attributes:
        about: one sentence for people.
        seed: of everything random in it (ids, noise).
        audio: format on the wire; `pcmu` and `pcma` are a telephone's.
        noise_snr_db: noise on the caller's side, below the loudness of the speech; None: a quiet line.
        backend: `up`, or `down`: the tools can't answer. Put a live server into that state before you play the scenario.
        pause_ms: silence before each line.
        agent: who is called; "": the agent of the first kit that can be evaluated.
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
    """The scenario of a file's text.

    Args:
        text: TOML.
        name: of the file, without its suffix; the scenario's name unless the file says another.
        folder: where recordings are looked for.

    Raises:
        BadScenario: naming the fault.
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
    """The scenario of a file, or all of a folder by name.

    Args:
        path: of the file or folder.
        fact_fault: what is wrong with an expected fact of a scenario; "" when it is valid.

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
