"""Dashboards of the metrics: an overview, one for each role, the stores, and what all processes have in common."""

from tests.kit.dashboards.board import Board, Row
from tests.kit.dashboards.panels import (
    BYTES,
    COUNT,
    PER_SECOND,
    SECONDS,
    SHARE,
    Panel,
    Query,
    graph,
    listing,
    number,
)

WINDOW = "$__rate_interval"


def rate(metric: str, *by: str, where: str = "") -> str:
    """How often something is counted, a second."""
    return (
        f"sum by ({', '.join(by)}) (rate({metric}{where}[{WINDOW}]))" if by else f"sum(rate({metric}{where}[{WINDOW}]))"
    )


def quantile(share: float, metric: str, *by: str, where: str = "") -> str:
    """A quantile of a histogram; `by`: labels that stay."""
    return f"histogram_quantile({share}, {rate(f'{metric}_bucket', 'le', *by, where=where)})"


def rates(title: str, metric: str, *by: str, where: str = "", about: str = "") -> Panel:
    """How often something happens, a second, by labels."""
    legend = " ".join(f"{{{{{label}}}}}" for label in by) or "a second"
    return graph(title, Query(rate(metric, *by, where=where), legend), unit=PER_SECOND, about=about)


def p95(title: str, metric: str, *by: str, where: str = "", about: str = "") -> Panel:
    """The time that 95 % stay below, by labels."""
    legend = " ".join(f"{{{{{label}}}}}" for label in by) or "p95"
    return graph(title, Query(quantile(0.95, metric, *by, where=where), legend), unit=SECONDS, about=about)


QUEUES = graph(
    "Queues: age of the oldest job",
    Query("avb:queue_age_seconds:max", "{{kind}}"),
    unit=SECONDS,
    about="Above 0.5 s new calls are refused: a worker of this kind is missing, or there are too many calls.",
)
BUSY = graph(
    "How busy workers are",
    Query("avb:worker_utilisation:ratio_5m", "{{kind}}"),
    unit=SHARE,
    about="Of their slots, or of the threads of their speech engine. Near 100 % the next job waits.",
)
BREAKERS = graph(
    "Breakers",
    Query("max by (name) (avb_breaker_open)", "{{name}}"),
    about="1 open: it failed and gets no requests. 0.5: one request tests it. 0 closed.",
)
LOOP_LAG = graph(
    "Loop lag",
    Query("avb:loop_lag_seconds:p99_5m", "{{process}} {{instance}}"),
    unit=SECONDS,
    about="p99 of how late timers run. A late gateway is late for all of its calls.",
)

OVERVIEW = Board(
    "overview",
    "Overview",
    "What callers notice, and where to look next.",
    (
        Row(
            "Now",
            (
                number("Open calls", Query("sum(avb_connections)")),
                number("Turns, p95", Query("avb:turn_seconds:p95_5m"), unit=SECONDS, bad_from=1.0),
                number(
                    "Slow turns, an hour",
                    Query("avb:turns_slow:ratio_rate1h"),
                    unit=SHARE,
                    bad_from=0.05,
                    about="Answered later than 1 s; 5 % are allowed.",
                ),
                number(
                    "Failed jobs, an hour",
                    Query("avb:jobs_failed:ratio_rate1h"),
                    unit=SHARE,
                    bad_from=0.005,
                    about="0.5 % are allowed.",
                ),
                number(
                    "Refused calls, an hour",
                    Query("avb:calls_refused:ratio_rate1h"),
                    unit=SHARE,
                    bad_from=0.01,
                    about="For a reason of ours; 1 % are allowed.",
                ),
                number(
                    "Alerts",
                    Query('count(ALERTS{alertstate="firing"}) or vector(0)'),
                    bad_from=1,
                    about="Each has a section in docs/runbooks.md.",
                ),
            ),
        ),
        Row(
            "Turns",
            (
                graph(
                    "Turns",
                    Query(quantile(0.5, "avb_turn_seconds"), "p50", has_exemplars=True),
                    Query(quantile(0.95, "avb_turn_seconds"), "p95", has_exemplars=True),
                    unit=SECONDS,
                    about="From the caller's last voiced sample to the agent's first audio. Points lead to traces.",
                ),
                graph(
                    "Where a turn's time goes",
                    Query("avb:turn_part_seconds:mean_5m", "{{part}}"),
                    unit=SECONDS,
                    is_stacked=True,
                    about="Mean of each part; together they are the mean turn.",
                ),
                graph(
                    "Interruptions and false cut-offs",
                    Query(rate("avb_interruptions_total"), "interruptions"),
                    Query(rate("avb_false_cutoffs_total"), "false cut-offs"),
                    unit=PER_SECOND,
                    about="False cut-offs: the caller went on within 1.5 s of the end of a turn, before an answer was heard.",
                ),
            ),
        ),
        Row("Work", (QUEUES, BUSY, rates("Failed jobs", "avb_jobs_total", "kind", where='{outcome="failed"}'))),
        Row(
            "Faults",
            (
                graph(
                    "Calls without a service",
                    Query("max by (mode) (avb_degraded)", "{{mode}}"),
                    about="1 while calls go on without it.",
                ),
                BREAKERS,
                listing("Versions", Query("count by (version, role) (avb_info)")),
            ),
        ),
    ),
)

GATEWAY = Board(
    "gateway",
    "Gateway",
    "Calls, requests, and what a gateway spends its time with.",
    (
        Row(
            "Calls",
            (
                graph("Open calls", Query("sum by (instance) (avb_connections)", "{{instance}}")),
                rates("Calls", "avb_calls_total", "result"),
                rates("Refused calls", "avb_refusals_total", "code", about="By code: docs/reference/errors.md."),
                rates("Errors sent to clients", "avb_errors_total", "error_type"),
                rates("Refusals by a limit", "avb_limited_total", "limit"),
                graph(
                    "Pressure",
                    Query("max by (instance) (avb_pressure_seconds)", "{{instance}}"),
                    unit=SECONDS,
                    about="How late work is; new calls are delayed by it.",
                ),
            ),
        ),
        Row(
            "Turns and jobs",
            (
                rates("Speculation", "avb_speculation_total", "result", about="Responses begun before the turn ended."),
                p95(
                    "First result of a job, p95",
                    "avb_job_first_result_seconds",
                    "kind",
                    about="From claiming it. Recognition's comes at the caller's first pause.",
                ),
                p95("Jobs, p95", "avb_job_seconds", "kind", about="From submitting a job to its last result."),
                graph("Open jobs", Query("sum by (kind) (avb_jobs_open)", "{{kind}}")),
                rates("Jobs", "avb_jobs_total", "kind", "outcome"),
                graph("Caller audio", Query(rate("avb_audio_bytes_total"), "read"), unit="Bps"),
            ),
        ),
        Row(
            "Requests",
            (
                rates("REST requests", "avb_requests_total", "route", "status"),
                rates("Speech and transcripts without a call", "avb_audio_requests_total", "route", "outcome"),
                rates("Client events", "avb_client_events_total", "event"),
            ),
        ),
        Row(
            "The process",
            (
                graph(
                    "Loop lag",
                    Query('avb:loop_lag_seconds:p99_5m and on (instance) avb_info{role="gateway"}', "{{instance}}"),
                    unit=SECONDS,
                    about="p99 of how late timers run: every call of the process waits as long.",
                ),
                p95(
                    "Client events, p95",
                    "avb_message_seconds",
                    "event",
                    about="From reading one to passing on its effects.",
                ),
                p95("Engine steps, p95", "avb_engine_step_seconds"),
                graph(
                    "Connections",
                    Query('sum by (instance) (avb_tcp_connections{process="gateway"})', "{{instance}}"),
                    Query(
                        'sum by (instance) (avb_tcp_connections_unadmitted{process="gateway"})',
                        "{{instance}} unadmitted",
                    ),
                ),
                graph(
                    "Connections, of those allowed",
                    Query('avb_tcp_connections{process="gateway"} / avb_tcp_connections_limit', "{{instance}}"),
                    unit=SHARE,
                    about="Near 100 % those that have shown nothing are closed.",
                ),
                rates("Connections closed", "avb_tcp_connections_dropped_total", "reason", where='{process="gateway"}'),
            ),
        ),
    ),
)

WORKERS = Board(
    "workers",
    "Workers",
    "Recognition, language models, synthesis, tools and the recorder: by the kind of their jobs.",
    (
        Row(
            "Room",
            (
                BUSY,
                graph(
                    "Slots",
                    Query("sum by (kind) (avb_worker_slots)", "{{kind}}"),
                    Query("sum by (kind) (avb_worker_busy_slots)", "{{kind}} busy"),
                ),
                graph(
                    "Speech engines",
                    Query("sum by (kind) (avb_engine_threads)", "{{kind}} threads"),
                    Query("sum by (kind) (avb_engine_waiting)", "{{kind}} waiting"),
                    about="Runs that wait for a thread make turns late.",
                ),
                QUEUES,
                graph("Queues: jobs that nobody has taken", Query("avb:queue_depth:max", "{{kind}}")),
                BREAKERS,
            ),
        ),
        Row(
            "Time",
            (
                p95(
                    "First result, p95",
                    "avb_worker_first_result_seconds",
                    "kind",
                    about="From claiming a job. Recognition's comes at the caller's first pause.",
                ),
                graph(
                    "Jobs, p95",
                    Query(quantile(0.95, "avb_worker_job_seconds", "kind"), "{{kind}}", has_exemplars=True),
                    unit=SECONDS,
                    about="From claiming to the end. A job of recognition lasts as long as its caller speaks.",
                ),
                p95(
                    "Runs of a speech engine, p95",
                    "avb_engine_run_seconds",
                    "kind",
                    about="One decoding, or one chunk of speech.",
                ),
            ),
        ),
        Row(
            "Outcomes",
            (
                rates("Jobs", "avb_worker_jobs_total", "kind", "outcome"),
                rates("Jobs that failed", "avb_worker_jobs_total", "kind", where='{outcome="failed"}'),
                graph(
                    "Dead letters, and jobs taken over",
                    Query(rate("avb_dead_letters_total", "kind"), "{{kind}} dead letters"),
                    Query(rate("avb_jobs_reclaimed_total", "kind"), "{{kind}} taken over"),
                    unit=PER_SECOND,
                    about="Taken over from a worker that was silent for two seconds.",
                ),
            ),
        ),
    ),
)

RECORDS = Board(
    "records",
    "Recorder and janitor",
    "What becomes of the records of calls, and who cleans up.",
    (
        Row(
            "Recorder",
            (
                graph(
                    "Batches that wait",
                    Query('avb:queue_depth:max{kind="record"}', "in the store"),
                    Query("sum(avb_records_waiting)", "claimed"),
                ),
                rates("Records written", "avb_records_written_total", "table"),
                rates("Records refused", "avb_records_refused_total", about="They are dead letters of the recorder."),
                p95("Time of a transaction, p95", "avb_records_write_seconds"),
            ),
        ),
        Row(
            "Janitor",
            (
                rates("Runs of the janitor", "avb_janitor_runs_total", "result"),
                rates("Sessions whose gateway was gone", "avb_janitor_sessions_ended_total"),
                graph(
                    "Since the last run",
                    Query("time() - max(avb_janitor_last_run_timestamp_seconds)", "seconds"),
                    unit=SECONDS,
                    about="One is due every 30 s.",
                ),
            ),
        ),
    ),
)

WEBHOOK = Board(
    "webhook",
    "Webhook server",
    "Requests of voice platforms, and the look-ups behind them.",
    (
        Row(
            "Requests",
            (
                rates("Requests", "avb_webhook_requests_total", "route", "status"),
                graph(
                    "Time to answer",
                    Query(quantile(0.5, "avb_webhook_seconds", "route"), "{{route}} p50"),
                    Query("avb:webhook_seconds:p99_5m", "{{route}} p99"),
                    unit=SECONDS,
                ),
                graph("Being answered", Query("sum by (instance) (avb_webhook_in_flight)", "{{instance}}")),
                rates("Messages of the platform", "avb_webhook_messages_total", "type"),
                rates("Outcomes of tools", "avb_webhook_tool_outcomes_total", "code"),
                rates("Answers from memory", "avb_webhook_replays_total"),
            ),
        ),
        Row(
            "Look-ups of the delivery kit",
            (
                rates("Look-ups by source", "avb_shipments_answers_total", "source"),
                graph("Hits of the cache", Query("avb_cache_hit_ratio", "{{instance}}"), unit=SHARE),
                graph("Parcels in the cache", Query("avb_cache_parcels", "{{instance}}")),
                rates("Requests to Sanity", "avb_sanity_attempts_total", "kind"),
                p95("Requests to Sanity, p95", "avb_sanity_attempt_seconds"),
                BREAKERS,
            ),
        ),
        Row(
            "The process",
            (
                graph(
                    "Connections, of those allowed",
                    Query('avb_tcp_connections{process="webhook"} / avb_tcp_connections_limit', "{{instance}}"),
                    unit=SHARE,
                ),
                rates("Connections closed", "avb_tcp_connections_dropped_total", "reason", where='{process="webhook"}'),
                graph(
                    "Loop lag",
                    Query('avb:loop_lag_seconds:p99_5m and on (instance) avb_info{role="webhook"}', "{{instance}}"),
                    unit=SECONDS,
                ),
            ),
        ),
    ),
)

EVENTS = Board(
    "events",
    "Events",
    "What is sent to other systems: webhooks and Kafka.",
    (
        Row(
            "Sending",
            (
                rates("Attempts", "avb_event_attempts_total", "kind", "result", about="dead: it is not tried again."),
                p95(
                    "Delay of events, p95",
                    "avb_event_delay_seconds",
                    "kind",
                    about="From the record until it was taken.",
                ),
                p95("Length of an attempt, p95", "avb_event_attempt_seconds", "kind"),
                graph("Sessions whose events are being sent", Query("sum(avb_event_lanes)", "sessions")),
                rates("Dead letters", "avb_event_attempts_total", "kind", where='{result="dead"}'),
            ),
        ),
    ),
)

STORES = Board(
    "stores",
    "Stores",
    "Valkey and PostgreSQL, as the processes see them.",
    (
        Row(
            "Valkey",
            (
                graph(
                    "Memory of the store",
                    Query("max(avb_store_memory_share)", "share"),
                    unit=SHARE,
                    about="From 75 % on new calls are refused, from 85 % on work of open calls, too.",
                ),
                graph("Level", Query("max(avb_store_memory_level)", "level"), about="1: no new calls. 2: nearly full."),
                graph("Jobs and records in the store", Query("avb:queue_depth:max", "{{kind}}")),
                graph(
                    "Without the store, or without records",
                    Query('max by (mode) (avb_degraded{mode=~"store_.*|records_delayed"})', "{{mode}}"),
                ),
                rates("Limits checked without the store", "avb_limits_local_total"),
                graph(
                    "Embedded servers",
                    Query('min by (child) (avb_child_up{child=~"valkey|postgres"})', "{{child}}"),
                    about="1: runs. None is shown for servers of your own.",
                ),
            ),
        ),
        Row(
            "PostgreSQL",
            (
                p95("Transactions of the recorder, p95", "avb_records_write_seconds"),
                rates("Records written", "avb_records_written_total", "table"),
                rates("Records refused", "avb_records_refused_total"),
            ),
        ),
    ),
)

PROCESSES = Board(
    "processes",
    "Processes",
    "Every process of every role.",
    (
        Row(
            "Running",
            (
                graph("Answers", Query('up{job="agentvoicebox"}', "{{process}} {{instance}}")),
                graph("Processes of `serve`", Query("min by (child) (avb_child_up)", "{{child}}")),
                rates("Restarts", "avb_child_restarts_total", "child"),
            ),
        ),
        Row(
            "Using",
            (
                graph(
                    "Processor",
                    Query(f"rate(process_cpu_seconds_total{{job=\"agentvoicebox\"}}[{WINDOW}])", "{{process}} {{instance}}"),
                    unit=COUNT,
                    about="Cores.",
                ),
                graph(
                    "Memory",
                    Query('process_resident_memory_bytes{job="agentvoicebox"}', "{{process}} {{instance}}"),
                    unit=BYTES,
                ),
                graph(
                    "Open files, of those allowed",
                    Query(
                        'process_open_fds{job="agentvoicebox"} / process_max_fds{job="agentvoicebox"}',
                        "{{process}} {{instance}}",
                    ),
                    unit=SHARE,
                ),
                LOOP_LAG,
                rates(
                    "Garbage collections", "python_gc_collections_total", "process", "generation",
                    where='{job="agentvoicebox"}',
                ),
                graph(
                    "Age",
                    Query('time() - process_start_time_seconds{job="agentvoicebox"}', "{{process}} {{instance}}"),
                    unit=SECONDS,
                ),
            ),
        ),
    ),
)  # fmt: skip

BOARDS = (OVERVIEW, GATEWAY, WORKERS, RECORDS, WEBHOOK, EVENTS, STORES, PROCESSES)
