"""Metrics of calls by WebRTC."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from agentvoicebox.audio.rates import OUTPUT_RATE_HZ
from agentvoicebox.telemetry.connection_metrics import ConnectionMetrics
from agentvoicebox.webrtc.caller_voice import CallerVoice


class WebCallMetrics:
    """Registered in the registry of their process. `tcp`: of the port's connections."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.tcp = ConnectionMetrics(registry)
        self._active = Gauge("avb_webrtc_calls", "WebRTC calls in progress.", registry=registry)
        self._ended = Counter(
            "avb_webrtc_calls_ended_total", "WebRTC calls, by how they ended.", ["outcome"], registry=registry
        )
        self._refused = Counter(
            "avb_webrtc_refusals_total", "WebRTC calls that were not taken, by error code.", ["code"], registry=registry
        )
        self._answer = Histogram(
            "avb_webrtc_answer_seconds",
            "From an offer to its answer, with the session opened.",
            buckets=(0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
            registry=registry,
        )
        self._lost = Counter(
            "avb_webrtc_lost_packets_total", "Packets of callers' audio that were lost.", registry=registry
        )
        self._replaced = Counter(
            "avb_webrtc_replaced_audio_seconds_total",
            "Callers' audio that was lost, by what replaced it.",
            ["by"],
            registry=registry,
        )

    def began(self, answer_s: float) -> None:
        """A call was answered."""
        self._active.inc()
        self._answer.observe(answer_s)

    def ended(self, outcome: str, voice: CallerVoice) -> None:
        """It is over."""
        self._active.dec()
        self._ended.labels(outcome).inc()
        self._lost.inc(voice.packets.lost)
        for by, samples in (
            ("redundancy", voice.recovered),
            ("concealment", voice.concealed),
            ("silence", voice.silent),
        ):
            self._replaced.labels(by).inc(samples / OUTPUT_RATE_HZ)

    def refused(self, code: str) -> None:
        """A call was not taken."""
        self._refused.labels(code).inc()
