"""The metric names of the founding plan, and what has their meaning here."""

PLAN: tuple[tuple[str, tuple[str, ...], str], ...] = (
    ("websocket_message_processing", ("avb_message_seconds",), "by event"),
    (
        "stt_transcription",
        ("avb_engine_run_seconds", "avb_worker_first_result_seconds"),
        '`kind="stt"`: one decoding; from the claim of an utterance, while its caller speaks, to its first text',
    ),
    (
        "tts_synthesis",
        ("avb_engine_run_seconds", "avb_worker_first_result_seconds", "avb_worker_job_seconds"),
        '`kind="tts"`: one chunk; to the first chunk of a segment; a whole segment',
    ),
    ("llm_generation", ("avb_worker_first_result_seconds", "avb_worker_job_seconds"), '`kind="llm"`'),
    ("active_connections", ("avb_connections", "avb_tcp_connections"), "calls; TCP connections"),
    ("queue_depth", ("avb_queue_depth", "avb_queue_age_seconds"), "age is what callers feel, so alerts read it"),
    (
        "worker_utilization",
        (
            "avb_worker_busy_seconds_total",
            "avb_worker_slots",
            "avb_engine_run_seconds",
            "avb_engine_threads",
        ),
        "`rate(avb_worker_busy_seconds_total[1m]) / avb_worker_slots` for `llm` and `tool`; "
        "`rate(avb_engine_run_seconds_sum[1m]) / avb_engine_threads` for `stt` and `tts`, whose jobs wait for callers",
    ),
    (
        "requests_total",
        ("avb_requests_total", "avb_client_events_total", "avb_webhook_requests_total"),
        "REST; Realtime events; webhooks",
    ),
    ("errors_total", ("avb_errors_total", "avb_requests_total", "avb_webhook_requests_total"), "by type; by status"),
    ("rate_limits_total", ("avb_limited_total", "avb_refusals_total"), "by limit; by code"),
    ("cache_hits_total", ("avb_cache_lookups_total",), '`result="hits"`, `negative`, `joins`, `stale`'),
    ("cache_misses_total", ("avb_cache_lookups_total",), '`result="misses"`'),
    ("circuit_breaker_state", ("avb_breaker_open",), "each provider and source, 0 from the start"),
    ("request_latency_seconds", ("avb_webhook_seconds",), "by route"),
    ("sanity_latency_seconds", ("avb_sanity_attempt_seconds",), "one request"),
)
