"""The page that Prometheus reads: its text form, or OpenMetrics, which alone carries exemplars."""

from prometheus_client import CollectorRegistry, disable_created_metrics
from prometheus_client.exposition import choose_encoder

# A `_created` beside each counter and each histogram makes the page longer and answers no question.
disable_created_metrics()  # type: ignore[no-untyped-call]


def metrics_page(registry: CollectorRegistry, accept: str = "") -> tuple[bytes, str]:
    """The page and its content type, in the form that an `Accept` header asks for; by default text 0.0.4."""
    encode, content_type = choose_encoder(accept)
    return encode(registry), content_type
