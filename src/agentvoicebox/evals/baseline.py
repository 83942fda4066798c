"""Compares a score with a stored baseline: which metrics are better, worse, or not acceptable at all.

Decides which change counts. Times may vary within the noise of a machine; shares and counts must not get worse at all.
"""

from pathlib import Path
from typing import Literal

import msgspec

from agentvoicebox import __version__
from agentvoicebox.errors import ClientError
from agentvoicebox.evals.metric import Metric
from agentvoicebox.evals.score import Score

SLOWER = 1.15  # a time is worse if it is above both this ratio
SLOWER_MS = 40.0  # and this difference; smaller changes are noise
LEAST_FOR_P99 = 100  # samples; with fewer, the p99 is only the slowest one
SHARE_SLACK = 1e-9
INFORMATIVE = frozenset({"hallucination.unread"})  # reported, never a regression

Judged = Literal["good", "same", "better", "worse", "bad", "new", "gone"]
REGRESSIONS = frozenset({"worse", "bad", "gone"})


class Baseline(msgspec.Struct, frozen=True):
    """An accepted score.

    Attributes:
        made: time, ISO 8601.
        software: version of this package that made it.
    """

    made: str
    software: str
    interactions: int
    metrics: dict[str, Metric]


class Change(msgspec.Struct, frozen=True):
    """One metric, before and now.

    Attributes:
        before: None without a baseline, or if it was not measured then.
        now: None if it is not measured any more.
        judged: the result; `bad` is a value that is never acceptable, with or without a baseline.
    """

    name: str
    before: Metric | None
    now: Metric | None
    judged: Judged

    @property
    def is_regression(self) -> bool:
        """Whether it should stop a release."""
        return self.judged in REGRESSIONS

    @property
    def is_informative(self) -> bool:
        """Whether the metric is shown without being judged."""
        return _is_informative(self.name, self.now or self.before)


class BadBaseline(ClientError):
    """The file is not a baseline. The message says what to do."""

    code = "bad_baseline"


def compare(score: Score, baseline: Baseline | None) -> list[Change]:
    """Compare every metric of both, in order."""
    before = baseline.metrics if baseline else {}
    names = [*score.metrics, *(name for name in before if name not in score.metrics)]
    return [_change(name, before.get(name), score.metrics.get(name), baseline is not None) for name in names]


def _change(name: str, before: Metric | None, now: Metric | None, has_baseline: bool) -> Change:
    if now is None:
        return Change(name, before, None, "same" if _is_informative(name, before) else "gone")
    if now.must_be is not None and abs(now.value - now.must_be) > SHARE_SLACK:
        return Change(name, before, now, "bad")
    if before is None:
        return Change(name, None, now, "new" if has_baseline else "good")
    if _is_informative(name, now) or _is_informative(name, before):
        return Change(name, before, now, "same")
    return Change(name, before, now, _judged(before, now))


def _is_informative(name: str, metric: Metric | None) -> bool:
    is_thin_p99 = name.endswith(".p99") and metric is not None and metric.samples < LEAST_FOR_P99
    return name in INFORMATIVE or is_thin_p99


def _judged(before: Metric, now: Metric) -> Judged:
    if now.unit == "ms":
        if now.value > before.value * SLOWER and now.value > before.value + SLOWER_MS:
            return "worse"
        is_faster = before.value > now.value * SLOWER and before.value > now.value + SLOWER_MS
        return "better" if is_faster else "same"
    sign = 1 if now.unit == "share" else -1
    gain = sign * (now.value - before.value)
    return "worse" if gain < -SHARE_SLACK else "better" if gain > SHARE_SLACK else "same"


def load(path: Path) -> Baseline:
    """Read a stored baseline.

    Raises:
        BadBaseline: the file is missing or invalid.
    """
    try:
        return msgspec.json.decode(path.read_bytes(), type=Baseline)
    except FileNotFoundError as error:
        raise BadBaseline(f"there is no baseline at {path}; make one with --update-baseline") from error
    except (OSError, msgspec.DecodeError) as error:
        raise BadBaseline(
            f"the baseline {path} can't be read ({error}); make another with --update-baseline"
        ) from error


def save(score: Score, path: Path, made: str) -> None:
    """Store a score as the baseline. JSON with one field a line, so that changes can be reviewed."""
    baseline = Baseline(made, __version__, score.interactions, score.metrics)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(msgspec.json.format(msgspec.json.encode(baseline), indent=2) + b"\n")
