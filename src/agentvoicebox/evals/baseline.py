"""A score against a stored one: what got better, what got worse, and what is too bad whatever was before.

Decides how much worse counts. Times may drift by machine noise; shares and counts may not get worse at all.
"""

from pathlib import Path
from typing import Literal

import msgspec

from agentvoicebox import __version__
from agentvoicebox.errors import ClientError
from agentvoicebox.evals.metric import Metric
from agentvoicebox.evals.score import Score

SLOWER = 1.15  # and
SLOWER_MS = 40.0  # both at once: below that two runs on one machine differ by chance
LEAST_FOR_P99 = 100  # samples; with fewer the p99 is the slowest one, which says nothing
SHARE_SLACK = 1e-9
INFORMATIVE = frozenset({"hallucination.unread"})  # told, never judged

Judged = Literal["good", "same", "better", "worse", "bad", "new", "gone"]
REGRESSIONS = frozenset({"worse", "bad", "gone"})


class Baseline(msgspec.Struct, frozen=True):
    """A score that was accepted.

    Attributes:
        made: when, ISO 8601.
        software: version it was made with.
    """

    made: str
    software: str
    interactions: int
    metrics: dict[str, Metric]


class Change(msgspec.Struct, frozen=True):
    """One metric, before and now.

    Attributes:
        before: None without a baseline, or when it was not measured then.
        now: None when it is not measured any more.
        judged: `bad` is what must never be, baseline or not.
    """

    name: str
    before: Metric | None
    now: Metric | None
    judged: Judged

    @property
    def is_regression(self) -> bool:
        """Whether it should stop a release."""
        return self.judged in REGRESSIONS


class BadBaseline(ClientError):
    """The file holds no baseline. The message says what to do."""

    code = "bad_baseline"


def compare(score: Score, baseline: Baseline | None) -> list[Change]:
    """Every metric of both, in order."""
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
    """A stored baseline.

    Raises:
        BadBaseline: there is none, or it can't be read.
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
    """Make a score the baseline; JSON with a line a field, so that a change of it can be reviewed."""
    baseline = Baseline(made, __version__, score.interactions, score.metrics)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(msgspec.json.format(msgspec.json.encode(baseline), indent=2) + b"\n")
