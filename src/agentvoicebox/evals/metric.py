"""What a score is made of: metrics with their sense, and faults that name a call. Pure."""

from collections.abc import Sequence
from typing import Literal

import msgspec
import numpy as np

Unit = Literal["share", "ms", "count"]
PERCENTILES = (50, 95, 99)


class Metric(msgspec.Struct, frozen=True, kw_only=True):
    """One number.

    Attributes:
        name: dotted; its first part is the scorer's.
        value: a share from 0 to 1, milliseconds, or a count.
        samples: of how many it was made.
        must_be: the only value that is good, whatever a baseline says; None where there is none.
    """

    name: str
    value: float
    unit: Unit
    samples: int
    must_be: float | None = None


class ScoreFault(msgspec.Struct, frozen=True, kw_only=True):
    """Something that went wrong in one interaction.

    Attributes:
        metric: which metric it counts in.
        what: for people; holds words of the call only when its recording does.
    """

    metric: str
    call_id: str
    scenario: str
    what: str


class Scored(msgspec.Struct, frozen=True):
    """What one scorer found."""

    metrics: tuple[Metric, ...] = ()
    faults: tuple[ScoreFault, ...] = ()


def share(name: str, good: int, of: int, *, must_be: float | None = None) -> tuple[Metric, ...]:
    """A share; nothing when there was nothing to count."""
    if of == 0:
        return ()
    return (Metric(name=name, value=good / of, unit="share", samples=of, must_be=must_be),)


def percentiles(name: str, values_ms: Sequence[float]) -> tuple[Metric, ...]:
    """p50, p95 and p99 of some times; nothing when there are none."""
    if not values_ms:
        return ()
    found = np.percentile(np.asarray(values_ms, dtype=np.float64), PERCENTILES)
    return tuple(
        Metric(name=f"{name}.p{p}", value=round(float(value), 3), unit="ms", samples=len(values_ms))
        for p, value in zip(PERCENTILES, found, strict=True)
    )
