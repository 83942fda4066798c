"""Metrics of workers, recorder, janitor, supervisor and breakers: what was told is what the page says."""

import pytest
from prometheus_client import CollectorRegistry
from tests.kit.waiting import until

from agentvoicebox import __version__
from agentvoicebox.clock import ManualClock
from agentvoicebox.resilience.breaker import BreakerState
from agentvoicebox.telemetry.breaker_metrics import BreakerMetrics
from agentvoicebox.telemetry.janitor_metrics import JanitorMetrics
from agentvoicebox.telemetry.metrics_page import metrics_page
from agentvoicebox.telemetry.process_metrics import ProcessMetrics
from agentvoicebox.telemetry.recorder_metrics import RecorderMetrics
from agentvoicebox.telemetry.supervisor_metrics import SupervisorMetrics
from agentvoicebox.telemetry.trace_ids import trace_id_of
from agentvoicebox.telemetry.worker_metrics import WorkerMetrics

pytestmark = pytest.mark.requirement("A13")

OPENMETRICS = "application/openmetrics-text; version=1.0.0"


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


def lines(registry: CollectorRegistry, accept: str = "") -> set[str]:
    return set(metrics_page(registry, accept)[0].decode().splitlines())


def test_a_workers_series_begin_with_zero(registry: CollectorRegistry) -> None:
    WorkerMetrics(registry, clock=ManualClock()).works_on("llm", 4)
    assert {
        'avb_worker_slots{kind="llm"} 4.0',
        'avb_worker_busy_slots{kind="llm"} 0.0',
        'avb_worker_busy_seconds_total{kind="llm"} 0.0',
        'avb_worker_jobs_total{kind="llm",outcome="failed"} 0.0',
        'avb_dead_letters_total{kind="llm"} 0.0',
        'avb_jobs_reclaimed_total{kind="llm"} 0.0',
        'avb_worker_first_result_seconds_count{kind="llm"} 0.0',
    } <= lines(registry)


def test_busy_time_is_that_of_all_slots_and_grows_while_a_job_runs(registry: CollectorRegistry) -> None:
    clock = ManualClock()
    metrics = WorkerMetrics(registry, clock=clock)
    metrics.works_on("tool", 4)
    metrics.job_begun("tool", 1)
    clock.advance(2.0)
    metrics.job_begun("tool", 1)
    clock.advance(3.0)
    assert {'avb_worker_busy_slots{kind="tool"} 2.0', 'avb_worker_busy_seconds_total{kind="tool"} 8.0'} <= lines(
        registry
    )
    metrics.job_over("tool", "done", 5.0, "sess_1")
    clock.advance(1.0)
    assert {'avb_worker_busy_slots{kind="tool"} 1.0', 'avb_worker_busy_seconds_total{kind="tool"} 9.0'} <= lines(
        registry
    )


def test_a_job_is_counted_by_how_it_ended_here(registry: CollectorRegistry) -> None:
    metrics = WorkerMetrics(registry, clock=ManualClock())
    metrics.works_on("tts", 1)
    for attempt, outcome in ((1, "done"), (2, "retried"), (3, "failed"), (1, "no such end")):
        metrics.job_begun("tts", attempt)
        metrics.job_over("tts", outcome, 0.2, "sess_1")
    metrics.dead_letter("tts")
    assert {
        'avb_worker_jobs_total{kind="tts",outcome="done"} 1.0',
        'avb_worker_jobs_total{kind="tts",outcome="retried"} 1.0',
        'avb_worker_jobs_total{kind="tts",outcome="failed"} 1.0',
        'avb_worker_jobs_total{kind="tts",outcome="other"} 1.0',
        'avb_jobs_reclaimed_total{kind="tts"} 2.0',
        'avb_dead_letters_total{kind="tts"} 1.0',
    } <= lines(registry)


def test_a_jobs_time_names_its_call_where_openmetrics_is_asked_for(registry: CollectorRegistry) -> None:
    metrics = WorkerMetrics(registry, clock=ManualClock())
    metrics.job_over("tts", "done", 0.2, "sess_1")
    page, content_type = metrics_page(registry, OPENMETRICS)
    assert content_type.startswith("application/openmetrics-text; version=1.0.0")
    assert f'le="0.2"}} 1.0 # {{trace_id="{trace_id_of("sess_1")}"}} 0.2' in page.decode()
    assert page.endswith(b"# EOF\n")
    plain, content_type = metrics_page(registry, "*/*")
    assert content_type.startswith("text/plain; version=0.0.4")
    assert b"trace_id" not in plain and b"_created" not in plain


def test_an_engine_shows_its_runs_and_what_waits_for_one(registry: CollectorRegistry) -> None:
    metrics = WorkerMetrics(registry, clock=ManualClock())
    waiting = [3]
    metrics.has_engine("stt", 2, lambda: waiting[0])
    metrics.engine_ran("stt", 0.25)
    assert {
        'avb_engine_threads{kind="stt"} 2.0',
        'avb_engine_waiting{kind="stt"} 3.0',
        'avb_engine_run_seconds_sum{kind="stt"} 0.25',
    } <= lines(registry)


def test_a_breaker_is_there_from_the_start_and_shows_the_state_of_now(registry: CollectorRegistry) -> None:
    metrics = BreakerMetrics(registry)
    states = {"openai": BreakerState.CLOSED}
    metrics.watch(lambda: states)
    metrics.watch(lambda: {"sanity": BreakerState.HALF_OPEN, "openai": BreakerState.CLOSED})
    assert {'avb_breaker_open{name="openai"} 0.0', 'avb_breaker_open{name="sanity"} 0.5'} <= lines(registry)
    states["openai"] = BreakerState.OPEN
    metrics.changed("openai", BreakerState.OPEN)
    assert {
        'avb_breaker_open{name="openai"} 1.0',
        'avb_breaker_changes_total{name="openai",to="open"} 1.0',
    } <= lines(registry)


def test_rows_are_counted_by_table_and_a_batch_that_waits_is_seen(registry: CollectorRegistry) -> None:
    metrics = RecorderMetrics(registry)
    waiting = [0, 0]
    metrics.watch_waiting(lambda: len(waiting))
    metrics.written({"turns": 3, "sessions": 1, "secrets": 9}, 0.02)
    metrics.refused()
    assert {
        "avb_records_waiting 2.0",
        'avb_records_written_total{table="turns"} 3.0',
        'avb_records_written_total{table="other"} 9.0',
        'avb_records_written_total{table="call_audio"} 0.0',
        "avb_records_refused_total 1.0",
        "avb_records_write_seconds_count 1.0",
    } <= lines(registry)


def test_a_sweep_that_failed_does_not_move_the_time_of_the_last_one(registry: CollectorRegistry) -> None:
    metrics = JanitorMetrics(registry)
    metrics.failed()
    assert "avb_janitor_last_run_timestamp_seconds 0.0" in lines(registry)
    metrics.swept(2)
    assert {
        'avb_janitor_runs_total{result="done"} 1.0',
        'avb_janitor_runs_total{result="failed"} 1.0',
        "avb_janitor_sessions_ended_total 2.0",
    } <= lines(registry)
    assert "avb_janitor_last_run_timestamp_seconds 0.0" not in lines(registry)


def test_a_child_is_up_while_it_is_ready_and_each_death_is_counted(registry: CollectorRegistry) -> None:
    metrics = SupervisorMetrics(registry)
    metrics.knows("stt")
    assert {'avb_child_up{child="stt"} 0.0', 'avb_child_restarts_total{child="stt"} 0.0'} <= lines(registry)
    for state in ("starting", "ready"):
        metrics.changed("stt", state)
    assert 'avb_child_up{child="stt"} 1.0' in lines(registry)
    metrics.changed("stt", "died")
    assert {'avb_child_up{child="stt"} 0.0', 'avb_child_restarts_total{child="stt"} 1.0'} <= lines(registry)


async def test_a_process_tells_what_it_is_and_how_late_its_loop_runs(registry: CollectorRegistry) -> None:
    metrics = ProcessMetrics(registry)
    metrics.serves("stt")
    metrics.loop_was_late(0.3)
    page = lines(registry)
    assert f'avb_info{{role="stt",version="{__version__}"}} 1.0' in page
    assert {'avb_loop_lag_seconds_bucket{le="0.25"} 0.0', 'avb_loop_lag_seconds_bucket{le="0.5"} 1.0'} <= page
    assert any(line.startswith("process_resident_memory_bytes ") for line in page)
    async with metrics.watching_loop(every_s=0.0):
        await until(lambda: 'avb_loop_lag_seconds_bucket{le="+Inf"} 1.0' in lines(registry), "the loop is measured")
