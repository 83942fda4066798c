"""`docs/reference/metrics.md`: every metric of every role, and what the founding plan's names are here."""

from collections.abc import Iterator
from typing import Any

from prometheus_client import CollectorRegistry
from prometheus_client.metrics import MetricWrapperBase

from agentvoicebox.telemetry.breaker_metrics import BreakerMetrics
from agentvoicebox.telemetry.event_metrics import EventMetrics
from agentvoicebox.telemetry.janitor_metrics import JanitorMetrics
from agentvoicebox.telemetry.metrics import Metrics
from agentvoicebox.telemetry.process_metrics import ProcessMetrics
from agentvoicebox.telemetry.recorder_metrics import RecorderMetrics
from agentvoicebox.telemetry.supervisor_metrics import SupervisorMetrics
from agentvoicebox.telemetry.worker_metrics import WorkerMetrics
from agentvoicebox.webhook.metrics import WebhookMetrics
from agentvoicebox_delivery.sources.cache import CacheStats
from agentvoicebox_delivery.sources.metrics import LookUpMetrics
from tests.kit.reference.markdown import code, head, section, table, text_of
from tests.kit.reference.plan_metrics import PLAN

WATCH = {
    "avb_turn_seconds": "p95 is what callers feel",
    "avb_queue_age_seconds": "above 0.5 s new calls are refused: add workers of this kind",
    "avb_degraded": "any 1 for longer than a restart",
    "avb_store_memory_level": "1: act before it is 2",
    "avb_limits_local_total": "a lasting rise: the store is away, limits are counted separately",
    "avb_refusals_total": "by code: [errors](errors.md#connect)",
    "avb_jobs_total": "a rise of `failed`",
    "avb_errors_total": "a rise of `server_error`",
    "avb_requests_total": "the share of `5xx`",
    "avb_false_cutoffs_total": "a share of turns that rises: callers are answered before they have finished",
    "avb_traces_total": "a rise of `failed` or `dropped`: the collector",
    "avb_tcp_connections": "near `avb_tcp_connections_limit`",
    "avb_webhook_seconds": "p99 of `vapi`: a cached answer takes milliseconds, no answer more than 4 s",
    "avb_webhook_requests_total": "401 (a changed secret?), 429 (the limit), any 5xx (a fault of the server)",
    "avb_webhook_messages_total": "`other`: the platform has a new message type",
    "avb_webhook_tool_outcomes_total": "the share of `UNAVAILABLE` and `ERROR`; `UNKNOWN_TOOL`: a name is missing in "
    "`AVB_VAPI_TOOLS`",
    "avb_shipments_answers_total": "`last_known` and `nowhere`: the source is away",
    "avb_sanity_attempts_total": "`timeout`, `limited`, `refused`",
    "avb_loop_lag_seconds": "p99 above 0.1 s: the process does too much, or has too little processor",
    "avb_breaker_open": "any 1: a provider or source is away",
    "avb_worker_busy_slots": "near `avb_worker_slots` for `llm` and `tool`: add workers",
    "avb_worker_jobs_total": "a rise of `failed` or `retried`",
    "avb_engine_waiting": "lastingly above 0: the speech engine has too few threads, or the machine too few cores",
    "avb_dead_letters_total": "any rise: the log of the worker names the job",
    "avb_jobs_reclaimed_total": "a rise without a deployment: workers die",
    "avb_records_waiting": "a lasting rise: PostgreSQL is away or slow",
    "avb_records_refused_total": "any rise: the batch is a dead letter",
    "avb_janitor_last_run_timestamp_seconds": "more than 5 minutes ago: lost sessions are not ended",
    "avb_janitor_sessions_ended_total": "a rise: gateways die with calls",
    "avb_event_attempts_total": "any `dead`; a lasting rise of `refused`: a receiver is away",
    "avb_child_up": "any 0 for longer than a start takes",
    "avb_child_restarts_total": "any rise",
}


def page() -> str:
    """The page. Raises ValueError when advice, or a row of the plan, names no metric."""
    found = {title: list(_rows(registry)) for title, registry in registries().items()}
    named = {row[0].strip("`") for rows in found.values() for row in rows}
    asked = set(WATCH) | {name for _, ours, _ in PLAN for name in ours}
    if old := asked - named:
        raise ValueError(f"out of date: {old}")
    lines = head(
        "Metrics",
        "the metrics' classes",
        "For Prometheus, without credentials: `/metrics` of each process's internal port. The gateway has "
        "`AVB_GATEWAY_INTERNAL_PORT` (8003), the webhook server `AVB_INTERNAL_PORT` (8002), a worker process "
        "`AVB_WORKER_INTERNAL_PORT`, and `serve` itself `AVB_SUPERVISOR_INTERNAL_PORT`; for the last two the system chooses "
        "a port. Each process lists its own in a file of `AVB_TARGETS_DIR` (by default `targets` in the data folder), "
        "for `file_sd_configs`, with the label `process`.",
        "Every label has a closed set of values, so no client can create new series; an unknown value counts as `other`. "
        "A histogram `x_seconds` has `x_seconds_bucket`, `x_seconds_sum` and `x_seconds_count`. Asked for OpenMetrics, the "
        "pages carry exemplars with the `trace_id` of a call.",
    )
    for title, rows in found.items():
        lines += section(title)
        lines += table(("metric", "kind", "labels", "meaning", "what to watch"), rows)
    lines += section("Names of the founding plan")
    lines += table(
        ("plan", "here", "remark"),
        ((code(plan), ", ".join(map(code, ours)), remark) for plan, ours, remark in PLAN),
    )
    return text_of(lines)


def registries() -> dict[str, CollectorRegistry]:
    """The metrics of each kind of process and role, by the title of their section."""
    made = {
        title: CollectorRegistry()
        for title in (
            "Every process",
            "Circuit breakers, in each process that has one",
            "Gateway",
            "Workers, by kind of job",
            "Recorder",
            "Janitor",
            "Events for other systems",
            "Supervisor",
            "Webhook server",
            "Agent kit `delivery`, in the webhook server and the tool worker",
        )
    }
    every, breakers, gateway, workers, recorder, janitor, events, supervisor, webhook, kit = made.values()
    ProcessMetrics(every)
    BreakerMetrics(breakers)
    Metrics(gateway)
    WorkerMetrics(workers)
    RecorderMetrics(recorder)
    JanitorMetrics(janitor)
    EventMetrics(events)
    SupervisorMetrics(supervisor)
    WebhookMetrics(webhook, messages=frozenset(), routes=frozenset(), codes=frozenset())
    LookUpMetrics(kit).watch_cache(CacheStats)
    return made


def _rows(registry: CollectorRegistry) -> Iterator[tuple[str, str, str, str, str]]:
    for collector in registry._collector_to_names:
        wrapper: Any = collector
        if isinstance(collector, MetricWrapperBase):
            yield _row(wrapper._name, wrapper._type, wrapper._labelnames, wrapper._documentation)
            continue
        for family in collector.collect():
            labels = [*getattr(family, "_labelnames", ())]
            labels += sorted({name for sample in family.samples for name in sample.labels} - set(labels))
            yield _row(family.name, family.type, labels, family.documentation)


def _row(name: str, kind: str, labels: Any, meaning: str) -> tuple[str, str, str, str, str]:
    full = f"{name}_total" if kind == "counter" else name
    return code(full), kind, ", ".join(map(code, labels)), meaning, WATCH.get(full, "")
