"""Every key, stream, channel and group in the store, with its time to live.

    key                                  type    lives                   holds
    avb:<kind>                           stream  permanent               jobs that are not done; group `<kind>-workers`
    avb:sessions                         zset    permanent, trimmed      live sessions by the store's time they expire at
    avb:gateways                         hash    30 s, heartbeat 10 s    what each gateway says about itself, for operators
    avb:session:{tenant/session}         hash    with its session        the session's owner, and until when it lives
    avb:job:{tenant/session}:<job>       hash    with its session        fence of a job: attempt, sequence, cancelled, done
    avb:jobs:{tenant/session}            set     with its session        the session's job ids, so that they can be deleted
    avb:results:{tenant/session}         stream  with its session, ~4096 results without audio
    avb:audio:out:{tenant/session}       stream  with its session, ~2048 results of synthesis
    avb:audio:in:{tenant/session}:<job>  stream  until done              caller audio and marks of one utterance
    avb:log:{tenant/session}             stream  with its session        engine inputs since the snapshot
    avb:snapshot:{tenant/session}        hash    with its session        engine state and the last log entry it covers
    avb:effects:{tenant/session}         hash    its session and 2 min   side effects of tools: begun, and what they returned
    avb:job:record:{tenant/session}:<j>  hash    1 day                   fence of a record job; outlives its session
    avb:open:{tenant}                    zset    30 s, heartbeat 10 s    open sessions of the tenant, by expiry
    avb:open:{tenant}:<key>              zset    30 s, heartbeat 10 s    of these, the ones opened with one key
    avb:open:{tenant}:secret:<sha256>    zset    30 s, heartbeat 10 s    of these, the ones of callers with one ephemeral secret
    avb:limit:{limits}:<scope>:<id>:…    hash    1.02 windows            what a scope used of a limit, by sub-window
    avb:secret:<sha256>                  string  10 s to 2 h             an ephemeral secret: its owner and session
    avb:dead:<kind>                      stream  1 day, ~1000            jobs that failed permanently
    avb:wake:<reader>                    stream  1 minute                wakes one blocked utterance reader
    avb:ailing:<kind>                    hash    5 s                     unavailable engines: worker → engines
    avb:probe                            string  1 minute                whether the store takes writes
    avb:rewritten                        string  1 day                   when the append-only file was last rewritten

A store that is full evicts keys with a time to live, the least recently used first (`volatile-lru`). So what an open call needs
has none: these keys live with their session, and are deleted when it ends, by its gateway or by the janitor. A key of a session
that is no longer there is written with a time to live (the scripts look for the owner). Of the others: fences of records (a
record that is written twice is one row), slots (their members come back with the next heartbeat), used limits and secrets (for
new sessions) may go.

    channel                              carries
    avb:transcription:{tenant/session}   results of speech recognition (`generation`, `speech`, `tool` alike); sharded
    avb:cancel:<kind>                    job ids as they are cancelled
    avb:sessions:notices                 changes of sessions

Keys with the same text in braces are in one slot of a cluster, and no command or script touches two slots: a session's
own keys under `{tenant/session}`, with the sharded channels that announce its results; a tenant's session slots under
`{tenant}`; all limits under `{limits}`. Each job stream has a slot of its own, filled by `dispatcher`.
"""

import re

from agentvoicebox.ports.broker import JobKind, SessionRef

PREFIX = "avb:"

# of what is written for a session that is no longer there: a session lasts 60 minutes at most; 5 more for late readers
SESSION_DATA_TTL_S = 3900
AUDIO_IN_TTL_S = 600  # the same; the last result of an utterance deletes its audio
RECORD_JOB_TTL_S = 86_400  # records wait for PostgreSQL longer than a session lives
DEAD_TTL_S = 86_400  # a dead job holds what people said: one day for inspection, no longer
WAKE_TTL_S = 60
PROBE_TTL_S = 60
REWRITTEN_TTL_S = 86_400
EFFECTS_AFTER_END_S = 120  # a side effect may end after its call, at most half a minute later
UNHEALTHY_TTL_S = 5  # workers repeat the report every second

RESULTS_MAX = 4096  # results; a long answer streams some 500 deltas
AUDIO_OUT_MAX = 2048  # results of some 100 ms: about three minutes, far beyond what credits let synthesis run ahead
RESULTS_BYTES = 16 * 1024 * 1024  # of a stream of results, however large they are
AUDIO_IN_MAX = 7_200  # entries of 100 ms: 12 minutes of one utterance
AUDIO_IN_BYTES = 32 * 1024 * 1024  # 17 minutes, in entries of a second
LEAST_ENTRIES = 32  # of a stream that is bounded in bytes
DEAD_MAX = 1000
DELIVERED_COUNT = 64  # entries of an utterance that are read: its last six seconds

SESSION_TTL_S = 30  # plan A1.3
SESSION_HEARTBEAT_S = 10

MAX_ATTEMPTS = 3  # plan A6: dead letter after three tries
# Recorders die for other reasons than the hundreds of batches they hold, which must not be lost for it. A batch that does kill
# its recorders keeps them restarting for about four minutes (`supervisor`), while the other batches are written (`recorder`).
MAX_RECORD_ATTEMPTS = 30
RECLAIM_IDLE_S = 2.0  # four missed heartbeats; the plan allows 10 s until another worker holds the job
HEARTBEAT_S = 0.5
ALIVE_FOR_S = 3.0  # a worker claims, or renews its lease, at least every half second

WITHOUT_TTL = frozenset({f"{PREFIX}{kind}" for kind in JobKind} | {f"{PREFIX}sessions"})
"""The only keys without a time to live that belong to no session."""

PROBE = f"{PREFIX}probe"
REWRITTEN = f"{PREFIX}rewritten"
GATEWAYS = f"{PREFIX}gateways"
LIVE_SESSIONS = f"{PREFIX}sessions"
SESSION_NOTICES = f"{PREFIX}sessions:notices"

_CHANNEL_OF_KIND = {
    JobKind.STT: "transcription",
    JobKind.LLM: "generation",
    JobKind.TTS: "speech",
    JobKind.TOOL: "tool",
    JobKind.RECORD: "record",
}


_OF_SESSION = re.compile(
    rf"{PREFIX}(session|job|jobs|results|audio:out|audio:in|log|snapshot|effects):\{{(?P<tenant>[^/]+)/(?P<session>[^}}]+)\}}"
)
OF_SESSIONS = f"{PREFIX}*{{*/*}}*"
"""A pattern of the store for the keys that `session_of` knows, and a few more."""


def tag(session: SessionRef) -> str:
    """The hash tag that all keys of a session share.

    Raises:
        ValueError: an id holds a character that would let it reach into another session's keys.
    """
    if any(mark in part for part in (session.tenant_id, session.session_id) for mark in "{}/"):
        raise ValueError("tenant and session ids may not contain '{', '}' or '/'")
    return f"{{{session.tenant_id}/{session.session_id}}}"


def session_of(key: str) -> SessionRef | None:
    """The session whose data a key holds; None for a key of no session, and for the fence of a record, which outlives it."""
    found = _OF_SESSION.match(key)
    return None if found is None else SessionRef(found["tenant"], found["session"])


def job_stream(kind: JobKind) -> str:
    """The stream of waiting jobs of a kind."""
    return f"{PREFIX}{kind}"


def group(kind: JobKind) -> str:
    """The consumer group that distributes them."""
    return f"{kind}-workers"


def dead_stream(kind: JobKind) -> str:
    """The stream of jobs that failed permanently."""
    return f"{PREFIX}dead:{kind}"


def unhealthy(kind: JobKind) -> str:
    """The unavailable engines of live workers of a kind."""
    return f"{PREFIX}ailing:{kind}"


def cancel_channel(kind: JobKind) -> str:
    """The channel that announces cancelled job ids."""
    return f"{PREFIX}cancel:{kind}"


def job(kind: JobKind, session: SessionRef, job_id: str) -> str:
    """The fence of a job. `forget` does not delete a record job's fence, because record jobs outlive their session."""
    of_records = "record:" if kind is JobKind.RECORD else ""
    return f"{PREFIX}job:{of_records}{tag(session)}:{job_id}"


def job_ttl_s(kind: JobKind) -> int:
    """How long an untouched fence of a job lives that belongs to no open session."""
    return RECORD_JOB_TTL_S if kind is JobKind.RECORD else SESSION_DATA_TTL_S


def max_attempts(kind: JobKind) -> int:
    """How often a job is attempted before it is dead."""
    return MAX_RECORD_ATTEMPTS if kind is JobKind.RECORD else MAX_ATTEMPTS


def jobs(session: SessionRef) -> str:
    """The set of the session's job ids."""
    return f"{PREFIX}jobs:{tag(session)}"


def results(session: SessionRef) -> str:
    """The durable stream of results without audio."""
    return f"{PREFIX}results:{tag(session)}"


def audio_out(session: SessionRef) -> str:
    """The durable stream of results of synthesis jobs."""
    return f"{PREFIX}audio:out:{tag(session)}"


def result_stream(kind: JobKind, session: SessionRef) -> str:
    """The stream that holds results of a kind."""
    return audio_out(session) if kind is JobKind.TTS else results(session)


def result_entries(kind: JobKind, result_bytes: int) -> int:
    """How long the stream of results of a kind may be, as `entries_within`."""
    return entries_within(AUDIO_OUT_MAX if kind is JobKind.TTS else RESULTS_MAX, RESULTS_BYTES, result_bytes)


def entries_within(most: int, most_bytes: int, entry_bytes: int) -> int:
    """How long a stream may be whose entries are like the new one: `most`, or fewer of large ones."""
    return max(LEAST_ENTRIES, min(most, most_bytes // max(1, entry_bytes)))


def audio_in(session: SessionRef, job_id: str) -> str:
    """The audio of one utterance."""
    return f"{PREFIX}audio:in:{tag(session)}:{job_id}"


def log(session: SessionRef) -> str:
    """Engine inputs since the last snapshot."""
    return f"{PREFIX}log:{tag(session)}"


def snapshot(session: SessionRef) -> str:
    """The engine's last snapshot."""
    return f"{PREFIX}snapshot:{tag(session)}"


def effects(session: SessionRef) -> str:
    """Side effects of tools for the session. `forget` shortens its time to live: a side effect may end after its call."""
    return f"{PREFIX}effects:{tag(session)}"


def session_hash(session: SessionRef) -> str:
    """The session's owner."""
    return f"{PREFIX}session:{tag(session)}"


def channel(kind: JobKind, session: SessionRef) -> str:
    """The channel that announces results of a kind to the session's gateway."""
    return f"{PREFIX}{_CHANNEL_OF_KIND[kind]}:{tag(session)}"


def channels(session: SessionRef) -> list[str]:
    """All channels that announce results of a session (record jobs announce nothing)."""
    return [channel(kind, session) for kind in JobKind if kind is not JobKind.RECORD]


def open_of_tenant(tenant_id: str) -> str:
    """The session slots of the tenant that are in use.

    Raises:
        ValueError: the tenant's id holds a character that would let it reach into another's keys, or is empty.
    """
    if not tenant_id or any(mark in tenant_id for mark in "{}/"):
        raise ValueError("a tenant's id may not be empty or contain '{', '}' or '/'")
    return f"{PREFIX}open:{{{tenant_id}}}"


def open_of_key(tenant_id: str, key_id: str) -> str:
    """The session slots in use by one of the tenant's keys; in the same hash slot. Raises as `open_of_tenant`."""
    return f"{open_of_tenant(tenant_id)}:{key_id}"


def open_of_secret(tenant_id: str, secret_id: str) -> str:
    """The session slots in use by one ephemeral secret; in the same hash slot. Raises as `open_of_tenant`."""
    return f"{open_of_tenant(tenant_id)}:secret:{secret_id}"


def wake_stream(reader: str) -> str:
    """Wakes one blocked utterance reader."""
    return f"{PREFIX}wake:{reader}"
