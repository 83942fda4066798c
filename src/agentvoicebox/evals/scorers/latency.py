"""Latency: how long callers waited for an answer, where the time went, and how long each part worked, hidden or not."""

from collections.abc import Sequence

from agentvoicebox.evals.metric import Scored, percentiles
from agentvoicebox.interactions.interaction import Interaction

LEAST_MS = 0.05  # a part that never took longer is no part of anything


def score(interactions: Sequence[Interaction]) -> Scored:
    """`latency.<channel>.total`, `.part.<name>` (on the critical path) and `.work.<name>` (all of it): p50, p95, p99.

    Channels are apart: a webhook's milliseconds say nothing of a spoken answer's.
    """
    values: dict[str, list[float]] = {}
    for interaction in interactions:
        for wait in interaction.waits:
            channel = f"latency.{interaction.channel}"
            values.setdefault(f"{channel}.total", []).append(wait.total_ms)
            for part, ms in wait.parts_ms.items():
                values.setdefault(f"{channel}.part.{part}", []).append(ms)
            for part, ms in wait.work_ms.items():
                values.setdefault(f"{channel}.work.{part}", []).append(ms)
    metrics = [
        metric
        for name, found in sorted(values.items())
        if name.endswith(".total") or max(found) > LEAST_MS
        for metric in percentiles(name, found)
    ]
    return Scored(tuple(metrics))
