"""Samples of a run → its figures. Pure."""

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from benchmarks.load.sample import CALL, KINDS, LATENESS, REFUSED, SETUP, TURN, Sample

PERCENTILES = (50, 95, 99)
ON_TIME_MS = 20.0  # a frame's length: callers that are later than this measure themselves


@dataclass(frozen=True)
class Spread:
    """How long something took, ms.

    Attributes:
        count: of all samples; `failures` of them failed, and the times are those of the others. 0 when there are none.
    """

    count: int
    failures: int
    p50: float
    p95: float
    p99: float
    max: float

    @staticmethod
    def of(samples: Sequence[Sample]) -> "Spread":
        """Of some samples."""
        times = [sample.ms for sample in samples if not sample.fault]
        cuts = [float(cut) for cut in np.percentile(times, PERCENTILES)] if times else [0.0, 0.0, 0.0]
        p50, p95, p99 = (round(cut, 1) for cut in cuts)
        return Spread(len(samples), len(samples) - len(times), p50, p95, p99, round(max(times, default=0.0), 1))


@dataclass(frozen=True)
class Figures:
    """A run.

    Attributes:
        seconds: measured, from the moment when all callers were there.
        spreads: by kind, of all its names together.
        names: by kind and name.
        live: calls at once: mean and most.
        turns_per_s: answered.
        error_rate: failed turns and failed calls, of all turns and calls; refusals are neither.
        refused: by code.
        refused_share: of all attempts to call.
        faults: by kind, name and reason.
        are_callers_on_time: else the figures also measure the machine that calls.
        has_ramped: all callers were there; else the figures are those of the ramp.
    """

    seconds: float
    spreads: dict[str, Spread]
    names: dict[str, dict[str, Spread]]
    live: dict[str, float]
    turns_per_s: float
    error_rate: float
    refused: dict[str, int]
    refused_share: float
    faults: dict[str, int]
    are_callers_on_time: bool
    has_ramped: bool


@dataclass
class Run:
    """What Locust wrote down.

    Attributes:
        began_s: when all callers were there, Unix time; before, the first sample.
        ended_s: the end, or the last sample.
    """

    samples: list[Sample] = field(default_factory=list)
    began_s: float = 0.0
    ended_s: float = 0.0
    has_ramped: bool = False

    def read(self, lines: Iterable[str]) -> "Run":
        """Take further lines; one that was not written to its end is left out."""
        for text in lines:
            try:
                line: dict[str, Any] = json.loads(text)
            except ValueError:
                continue
            if "ramped_at_s" in line:
                self.began_s, self.has_ramped = line["ramped_at_s"], True
            elif "ended_at_s" in line:
                self.ended_s = line["ended_at_s"]
            else:
                sample = Sample.from_line(line)
                if not self.samples and not self.has_ramped:
                    self.began_s = sample.at_s
                self.samples.append(sample)
                self.ended_s = max(self.ended_s, sample.at_s)
        return self

    def measured(self) -> list[Sample]:
        """Samples that count: those after the ramp."""
        return [sample for sample in self.samples if sample.at_s >= self.began_s] if self.has_ramped else self.samples

    def live(self) -> list[tuple[float, int]]:
        """Steps of the number of calls at once: (Unix time, calls from then on)."""
        changes = [(sample.at_s, 1) for sample in self.samples if sample.kind == SETUP and not sample.fault]
        changes += [(sample.at_s, -1) for sample in self.samples if sample.kind == CALL]
        steps, calls = [], 0
        for at_s, change in sorted(changes):
            calls += change
            steps.append((at_s, calls))
        return steps


def figures(run: Run) -> Figures:
    """The figures of a run."""
    counted = run.measured()
    by_kind = {kind: [sample for sample in counted if sample.kind == kind] for kind in KINDS}
    names = {
        kind: {name: Spread.of([each for each in samples if each.name == name]) for name in names_of(samples)}
        for kind, samples in by_kind.items()
    }
    spreads = {kind: Spread.of(samples) for kind, samples in by_kind.items()}
    seconds = max(0.001, run.ended_s - run.began_s)
    attempts = spreads[SETUP].count + spreads[REFUSED].count
    tried = spreads[TURN].count + spreads[SETUP].failures + spreads[CALL].count
    failed = spreads[TURN].failures + spreads[SETUP].failures + spreads[CALL].failures
    return Figures(
        seconds=round(seconds, 1),
        spreads=spreads,
        names=names,
        live=live_calls(run),
        turns_per_s=round((spreads[TURN].count - spreads[TURN].failures) / seconds, 2),
        error_rate=round(failed / tried, 4) if tried else 0.0,
        refused=dict(Counter(sample.name for sample in by_kind[REFUSED])),
        refused_share=round(spreads[REFUSED].count / attempts, 4) if attempts else 0.0,
        faults=dict(Counter(f"{each.kind}, {each.name}: {each.fault}" for each in counted if each.fault).most_common()),
        are_callers_on_time=spreads[LATENESS].p99 <= ON_TIME_MS,
        has_ramped=run.has_ramped,
    )


def names_of(samples: Sequence[Sample]) -> list[str]:
    """The names of some samples, in alphabetical order."""
    return sorted({sample.name for sample in samples})


def live_calls(run: Run) -> dict[str, float]:
    """Mean and most calls at once while the figures were taken."""
    now, at_s, total, most = 0, run.began_s, 0.0, 0
    for step_s, calls in [*run.live(), (run.ended_s, 0)]:
        if step_s > run.began_s:
            total += now * (min(step_s, run.ended_s) - at_s)
            at_s = min(step_s, run.ended_s)
            most = max(most, now)
        now = calls
    return {"mean": round(total / max(0.001, run.ended_s - run.began_s), 1), "most": most}
