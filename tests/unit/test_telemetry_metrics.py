"""Numbers for Prometheus: right, and with labels that no client can multiply."""

import pytest

from agentvoicebox.telemetry.metrics import Metrics
from agentvoicebox.telemetry.metrics_page import metrics_page

pytestmark = pytest.mark.requirement("A13")


def test_labels_outside_the_known_set_become_other() -> None:
    metrics = Metrics()
    for number in range(50):
        metrics.event_handled(f"made.up.{number}", 0.001)
        metrics.refused(f"code-{number}")
        metrics.error_sent(f"type-{number}")
    page = metrics_page(metrics.registry)[0].decode()
    assert 'avb_client_events_total{event="other"} 50.0' in page
    assert "made.up" not in page
    assert "code-" not in page
    assert "type-" not in page


def test_what_alerts_read_is_zero_before_it_happens() -> None:
    page = metrics_page(Metrics().registry)[0].decode()
    assert 'avb_jobs_total{kind="llm",outcome="failed"} 0.0' in page
    assert 'avb_refusals_total{code="overloaded"} 0.0' in page
    assert 'avb_calls_total{result="begun"} 0.0' in page
    assert 'avb_errors_total{error_type="server_error"} 0.0' in page


def test_calls_that_begin_and_calls_that_go_on_here_are_counted() -> None:
    metrics = Metrics()
    metrics.call_began(is_resumed=False)
    metrics.call_began(is_resumed=True)
    metrics.call_began(is_resumed=True)
    page = metrics_page(metrics.registry)[0].decode()
    assert 'avb_calls_total{result="begun"} 1.0' in page and 'avb_calls_total{result="resumed"} 2.0' in page


def test_a_job_is_open_until_it_is_over() -> None:
    metrics = Metrics()
    metrics.job_opened("stt")
    metrics.job_opened("stt")
    metrics.job_over("stt", "cancelled", 0.2)
    page = metrics_page(metrics.registry)[0].decode()
    assert 'avb_jobs_open{kind="stt"} 1.0' in page
    assert 'avb_jobs_total{kind="stt",outcome="cancelled"} 1.0' in page


def test_a_request_for_audio_is_counted_by_route_and_outcome() -> None:
    metrics = Metrics()
    metrics.audio_request_over("speech", "left")
    metrics.audio_request_over("anything", "else")
    page = metrics_page(metrics.registry)[0].decode()
    assert 'avb_audio_requests_total{outcome="left",route="speech"} 1.0' in page
    assert 'avb_audio_requests_total{outcome="other",route="other"} 1.0' in page


def test_the_parts_of_a_turn_are_counted_in_seconds() -> None:
    metrics = Metrics()
    metrics.turn_answered({"endpointing": 300.0, "gateway": 2.0}, "hit", "sess_1")
    page = metrics_page(metrics.registry)[0].decode()
    assert 'avb_turn_part_seconds_sum{part="endpointing"} 0.3' in page
    assert "avb_turn_seconds_sum 0.302" in page
    assert 'avb_speculation_total{result="hit"} 1.0' in page


def test_two_gateways_in_one_process_do_not_share_numbers() -> None:
    one, two = Metrics(), Metrics()
    one.connections.set(3)
    assert "avb_connections 0.0" in metrics_page(two.registry)[0].decode()
