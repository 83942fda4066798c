"""The trace id of a session: the same in every process and after a resumption, without being stored or sent."""

import hashlib

TRACE_ID_BYTES = 16
SPAN_ID_BYTES = 8
LOW_BITS = 1 << 64


def trace_id_of(session_id: str) -> str:
    """32 hex digits, as W3C Trace Context and OTLP want them; the same for log lines, exemplars and spans."""
    return hashlib.sha256(f"avb trace {session_id}".encode()).digest()[:TRACE_ID_BYTES].hex()


def span_id_of(*names: str) -> str:
    """16 hex digits that follow from what the span is about: a span that is sent twice is one span."""
    return hashlib.sha256(f"avb span {'/'.join(names)}".encode()).digest()[:SPAN_ID_BYTES].hex()


def is_sampled(trace_id: str, ratio: float) -> bool:
    """Whether a call is among the `ratio` (0 to 1) with a trace; by the low 64 bits of its id, as OpenTelemetry's own sampler."""
    return int(trace_id[16:], 16) < ratio * LOW_BITS
