"""Latency: time until answers, by part, and the working time of each part."""

from collections.abc import Sequence

from agentvoicebox.evals.metric import Scored, percentiles
from agentvoicebox.interactions.interaction import Interaction

LEAST_MS = 0.05  # parts that never took longer are left out


def score(interactions: Sequence[Interaction]) -> Scored:
    """`latency.<channel>.total`, `.part.<name>` (on the critical path) and `.work.<name>` (all of it): p50, p95, p99.

    Each channel has its own metrics: the latencies of a webhook and of a spoken answer are not comparable.
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
