"""Dashboards of the records in PostgreSQL: one tenant, and one call.

Metrics have no tenants, so that no client can create series. The data source logs in as a role that names its tenant
(`deploy/observability/grafana/reader.sql`); row-level security does the rest, so these queries name none.
"""

from grafana_foundation_sdk.builders import dashboard
from grafana_foundation_sdk.models.dashboard import VariableRefresh

from tests.kit.dashboards.board import Board, Row
from tests.kit.dashboards.panels import (
    RECORDS,
    SECONDS,
    SHARE,
    records_graph,
    records_listing,
    records_number,
)

SOURCE = dashboard.DatasourceVariable("records").label("Tenant").type("postgres")
CONSOLE = dashboard.TextBoxVariable("console").label("Console").default_value("http://127.0.0.1:8000")
CALL = (
    dashboard.QueryVariable("call")
    .label("Call")
    .datasource(RECORDS)
    .query("SELECT session_id FROM sessions WHERE $__timeFilter(opened_at) ORDER BY opened_at DESC LIMIT 500")
    .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
)
PARTS = ("endpointing", "socket", "ingest", "stt", "queue", "dialogue", "tool", "tts", "gateway")
TO_CALL = ("This call", "/d/avb-call?var-call=${__value.text}&${records:queryparam}&${__url_time_range}")
TO_CONSOLE = ("In the console", "${console}/#/calls/${__value.text}")

OF_CALL = "WHERE session_id = ${call:sqlstring}"  # as a literal, quoted by Grafana
USAGE = "FROM usage_entries WHERE $__timeFilter(began_at)"

TENANT = Board(
    "tenant",
    "Tenant",
    "Calls, usage and latency of one tenant, from the records. Choose the tenant by its data source.",
    (
        Row(
            "In this range of time",
            (
                records_number("Calls", "SELECT count(*) AS calls FROM sessions WHERE $__timeFilter(opened_at)"),
                records_number(
                    "Open now",
                    "SELECT count(*) AS open FROM sessions"
                    " WHERE closed_at IS NULL AND opened_at > now() - interval '65 minutes'",
                ),
                records_number(
                    "Connected",
                    "SELECT coalesce(sum(extract(epoch FROM ended_at - began_at)), 0)::float8 AS seconds"
                    f" {USAGE} AND record_id = session_id",
                    unit=SECONDS,
                ),
                records_number(
                    "Tokens", f"SELECT coalesce(sum(input_tokens + output_tokens), 0)::float8 AS tokens {USAGE}"
                ),
                records_number(
                    "Slow turns",
                    "SELECT coalesce(avg(((body ->> 'total_ms')::float8 > 1000)::int), 0)::float8 AS share"
                    " FROM turns WHERE $__timeFilter(recorded_at)",
                    unit=SHARE,
                    about="Answered later than 1 s.",
                ),
                records_number(
                    "Replays that differ",
                    "SELECT count(*) AS calls FROM sessions"
                    " WHERE $__timeFilter(opened_at) AND verdict ->> 'replay' = 'differs'",
                    about="Each is a bug of the server: please report it.",
                ),
            ),
        ),
        Row(
            "Over time",
            (
                records_graph(
                    "Calls",
                    "SELECT $__timeGroupAlias(opened_at, $__interval), agent AS metric, count(*) AS calls FROM sessions"
                    " WHERE $__timeFilter(opened_at) GROUP BY 1, 2 ORDER BY 1",
                    is_stacked=True,
                    about="By agent.",
                ),
                records_graph(
                    "Turns",
                    "SELECT $__timeGroupAlias(recorded_at, $__interval),"
                    " percentile_cont(0.5) WITHIN GROUP (ORDER BY (body ->> 'total_ms')::float8) / 1000 AS p50,"
                    " percentile_cont(0.95) WITHIN GROUP (ORDER BY (body ->> 'total_ms')::float8) / 1000 AS p95"
                    " FROM turns WHERE $__timeFilter(recorded_at) GROUP BY 1 ORDER BY 1",
                    unit=SECONDS,
                ),
                records_graph(
                    "Where a turn's time goes",
                    "SELECT $__timeGroupAlias(recorded_at, $__interval), part.key AS metric,"
                    " avg(part.value::float8) / 1000 AS seconds"
                    " FROM turns, jsonb_each_text(body -> 'parts_ms') AS part"
                    " WHERE $__timeFilter(recorded_at) GROUP BY 1, 2 ORDER BY 1",
                    unit=SECONDS,
                    is_stacked=True,
                ),
                records_graph(
                    "Audio",
                    "SELECT $__timeGroupAlias(began_at, $__interval), sum(audio_in_ms) / 1000.0 AS heard,"
                    f" sum(audio_out_ms) / 1000.0 AS spoken {USAGE} GROUP BY 1 ORDER BY 1",
                    unit=SECONDS,
                ),
                records_graph(
                    "Tokens",
                    "SELECT $__timeGroupAlias(began_at, $__interval), sum(input_tokens) AS read,"
                    f" sum(output_tokens) AS written {USAGE} GROUP BY 1 ORDER BY 1",
                ),
            ),
        ),
        Row(
            "Calls",
            (
                records_listing(
                    "Newest calls",
                    "SELECT s.opened_at AS began, s.session_id AS call, s.session_id AS console, s.agent,"
                    " extract(epoch FROM s.last_at - s.opened_at)::float8 AS seconds,"
                    " count(t.response_id) AS turns,"
                    " max((t.body ->> 'total_ms')::float8) AS slowest_ms, s.verdict ->> 'replay' AS replay"
                    " FROM sessions AS s LEFT JOIN turns AS t USING (tenant_id, session_id)"
                    " WHERE $__timeFilter(s.opened_at)"
                    " GROUP BY s.tenant_id, s.session_id, s.opened_at, s.last_at, s.agent, s.verdict"
                    " ORDER BY s.opened_at DESC LIMIT 100",
                    links={"call": TO_CALL, "console": TO_CONSOLE},
                ),
            ),
        ),
    ),
    (SOURCE, CONSOLE),
    "now-24h",
)

CALL_BOARD = Board(
    "call",
    "Call",
    "One call, turn by turn, from the records; its words are in the console alone.",
    (
        Row(
            "The call",
            (
                records_number("Turns", f"SELECT count(*) AS turns FROM turns {OF_CALL}"),
                records_number(
                    "Duration",
                    f"SELECT extract(epoch FROM last_at - opened_at)::float8 AS seconds FROM sessions {OF_CALL}",
                    unit=SECONDS,
                ),
                records_number(
                    "Slowest turn",
                    f"SELECT max((body ->> 'total_ms')::float8) / 1000 AS seconds FROM turns {OF_CALL}",
                    unit=SECONDS,
                ),
                records_number(
                    "Median turn",
                    "SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY (body ->> 'total_ms')::float8) / 1000 AS seconds"
                    f" FROM turns {OF_CALL}",
                    unit=SECONDS,
                ),
                records_number(
                    "Audio of the caller",
                    f"SELECT coalesce(sum(audio_in_ms), 0) / 1000.0 AS seconds FROM usage_entries {OF_CALL}",
                    unit=SECONDS,
                ),
                records_number(
                    "Tokens",
                    "SELECT coalesce(sum(input_tokens + output_tokens), 0)::float8 AS tokens"
                    f" FROM usage_entries {OF_CALL}",
                ),
                records_listing(
                    "Session",
                    "SELECT session_id AS call, agent, opened_at AS began, closed_at AS ended,"
                    " verdict ->> 'replay' AS replay, verdict ->> 'invariant_broken' AS invariant_broken,"
                    " verdict ->> 'unfounded' AS unfounded,"
                    " substr(encode(sha256(convert_to('avb trace ' || session_id, 'UTF8')), 'hex'), 1, 32) AS trace_id"
                    f" FROM sessions {OF_CALL}",
                    links={"call": TO_CONSOLE},
                    about="The trace id finds the call in a store of traces.",
                ),
            ),
        ),
        Row(
            "Turns",
            (
                records_listing(
                    "Turns",
                    "SELECT row_number() OVER (ORDER BY position) AS turn, recorded_at AS recorded, response_id AS response,"
                    " (body ->> 'total_ms')::float8 AS total_ms, "
                    + ", ".join(f"(body -> 'parts_ms' ->> '{part}')::float8 AS {part}_ms" for part in PARTS)
                    + f", body ->> 'speculation' AS speculation FROM turns {OF_CALL} ORDER BY position",
                    about="The parts of a turn add up to its total.",
                ),
            ),
        ),
    ),
    (SOURCE, CALL, CONSOLE),
    "now-24h",
)

BOARDS = (TENANT, CALL_BOARD)
