"""The parts of a score: metrics with their units, and faults of single calls. Pure."""

from collections.abc import Sequence
from typing import Literal

import msgspec
import numpy as np

Unit = Literal["share", "ms", "count"]
PERCENTILES = (50, 95, 99)


class Metric(msgspec.Struct, frozen=True, kw_only=True):
    """One number.

    Attributes:
        name: with dots; the first part is the scorer.
        value: a share from 0 to 1, milliseconds, or a count.
        samples: number of samples.
        must_be: the only acceptable value, whatever the baseline is; None if there is none.
    """

    name: str
    value: float
    unit: Unit
    samples: int
    must_be: float | None = None


class ScoreFault(msgspec.Struct, frozen=True, kw_only=True):
    """A fault in one interaction.

    Attributes:
        metric: the metric in which it counts.
        what: description for people; contains words of the call only if the recording does.
    """

    metric: str
    call_id: str
    scenario: str
    what: str


class Scored(msgspec.Struct, frozen=True):
    """The result of one scorer."""

    metrics: tuple[Metric, ...] = ()
    faults: tuple[ScoreFault, ...] = ()


def share(name: str, good: int, of: int, *, must_be: float | None = None) -> tuple[Metric, ...]:
    """A share as a metric; () if `of` is 0."""
    if of == 0:
        return ()
    return (Metric(name=name, value=good / of, unit="share", samples=of, must_be=must_be),)


def percentiles(name: str, values_ms: Sequence[float]) -> tuple[Metric, ...]:
    """p50, p95 and p99 of times as metrics; () if there are no values."""
    if not values_ms:
        return ()
    found = np.percentile(np.asarray(values_ms, dtype=np.float64), PERCENTILES)
    return tuple(
        Metric(name=f"{name}.p{p}", value=round(float(value), 3), unit="ms", samples=len(values_ms))
        for p, value in zip(PERCENTILES, found, strict=True)
    )
