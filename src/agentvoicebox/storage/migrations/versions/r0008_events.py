"""Events for other systems: destinations, the outbox, and what each destination has not had yet.

`events` is the outbox: a body for each event, written in the transaction of the record that it tells of. `event_deliveries` has a
row for each destination that has not had an event, so that no event depends on a cursor which a late commit could be behind.
`event_lanes` has a row for each session (and for the audit log) with such events, by destination: what a deliverer leases.
`event_batches` knows which batches of records of a session are written, so that events wait for those before them.

As everywhere a transaction sees one tenant. The deliverer serves all of them: a transaction that declares it may read the lanes
of every tenant, which hold ids and times, and nothing else.
"""

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

PARTITIONS = 8  # as in 0001

TABLES = {
    # secret: encrypted (storage.vault). types: patterns; empty: every type. paused_until: by a receiver's Retry-After.
    "event_destinations": """
        tenant_id      text        NOT NULL,
        destination_id text        NOT NULL,
        kind           text        NOT NULL,
        target         text        NOT NULL,
        types          text[]      NOT NULL DEFAULT '{}',
        secret         jsonb       NOT NULL DEFAULT '{}',
        created_at     timestamptz NOT NULL DEFAULT now(),
        paused_until   timestamptz NOT NULL DEFAULT '-infinity',
        PRIMARY KEY (tenant_id, destination_id)
    """,
    # position: orders the events of a lane. owner, number: of the batch of records that it came with.
    "events": """
        tenant_id   text        NOT NULL,
        event_id    text        NOT NULL,
        type        text        NOT NULL,
        lane        text        NOT NULL,
        position    bigint      NOT NULL,
        owner       text        NOT NULL DEFAULT '',
        number      integer     NOT NULL DEFAULT -1,
        body        text        NOT NULL,
        recorded_at timestamptz NOT NULL DEFAULT now(),
        PRIMARY KEY (tenant_id, event_id)
    """,
    # created_at: since when it is due, for the end of retries. dead_at: when they ended.
    "event_deliveries": """
        tenant_id      text        NOT NULL,
        destination_id text        NOT NULL,
        event_id       text        NOT NULL,
        lane           text        NOT NULL,
        position       bigint      NOT NULL,
        created_at     timestamptz NOT NULL,
        attempts       integer     NOT NULL DEFAULT 0,
        problem        text        NOT NULL DEFAULT '',
        dead_at        timestamptz,
        PRIMARY KEY (tenant_id, destination_id, event_id)
    """,
    # failures: attempts since the last success. lease: of the deliverer that works on it, until leased_until.
    "event_lanes": """
        tenant_id      text        NOT NULL,
        destination_id text        NOT NULL,
        lane           text        NOT NULL,
        due_at         timestamptz NOT NULL,
        failures       integer     NOT NULL DEFAULT 0,
        lease          text        NOT NULL DEFAULT '',
        leased_until   timestamptz NOT NULL DEFAULT '-infinity',
        PRIMARY KEY (tenant_id, destination_id, lane)
    """,
    "event_batches": """
        tenant_id  text           NOT NULL,
        session_id text           NOT NULL,
        owner      text           NOT NULL,
        written    int4multirange NOT NULL,
        last_at    timestamptz    NOT NULL,
        PRIMARY KEY (tenant_id, session_id, owner)
    """,
}
PARTITIONED = ("events",)

INDEXES = (
    "CREATE INDEX event_deliveries_next ON event_deliveries (tenant_id, destination_id, lane, position, event_id)"
    " WHERE dead_at IS NULL",
    "CREATE INDEX event_deliveries_dead ON event_deliveries (tenant_id, destination_id, dead_at) WHERE dead_at IS NOT NULL",
    "CREATE INDEX event_lanes_due ON event_lanes (due_at)",
    "CREATE INDEX events_newest ON events (tenant_id, recorded_at)",
    "CREATE INDEX event_batches_over ON event_batches (tenant_id, last_at)",
)

OF_ONE_TENANT = "tenant_id = current_setting('agentvoicebox.tenant_id', true)"
RIGHTS = {
    "agentvoicebox_app": {
        "event_destinations": "SELECT, INSERT, UPDATE, DELETE",
        "events": "SELECT, INSERT",
        "event_deliveries": "SELECT, INSERT, UPDATE, DELETE",
        "event_lanes": "SELECT, INSERT, UPDATE, DELETE",
        "event_batches": "SELECT, INSERT, UPDATE",
    },
    "agentvoicebox_janitor": dict.fromkeys(("events", "event_deliveries", "event_batches"), "SELECT, DELETE"),
}


def upgrade() -> None:
    """Add all of it."""
    for table, columns in TABLES.items():
        parts = [f"{table}_{remainder}" for remainder in range(PARTITIONS)] if table in PARTITIONED else []
        op.execute(f"CREATE TABLE {table} ({columns})" + (" PARTITION BY HASH (tenant_id)" if parts else ""))
        for remainder, part in enumerate(parts):
            op.execute(
                f"CREATE TABLE {part} PARTITION OF {table} FOR VALUES WITH (MODULUS {PARTITIONS}, REMAINDER {remainder})"
            )
        for each in (table, *parts):  # a partition has no policy of its own: it is read through its parent only
            op.execute(f"ALTER TABLE {each} ENABLE ROW LEVEL SECURITY")
            op.execute(f"ALTER TABLE {each} FORCE ROW LEVEL SECURITY")
        op.execute(
            f"CREATE POLICY {table}_of_one_tenant ON {table} USING ({OF_ONE_TENANT}) WITH CHECK ({OF_ONE_TENANT})"
        )
    op.execute(
        "CREATE POLICY event_lanes_of_all ON event_lanes FOR SELECT"
        " USING (current_setting('agentvoicebox.delivers_events', true) = 'yes')"
    )
    for index in INDEXES:
        op.execute(index)
    for role, rights in RIGHTS.items():
        grants = " ".join(f"GRANT {given} ON {table} TO {role};" for table, given in rights.items())
        op.execute(
            f"DO $$ BEGIN IF EXISTS (SELECT FROM pg_roles WHERE rolname = '{role}') THEN {grants} END IF; END $$"
        )


def downgrade() -> None:
    """Remove all of it."""
    for table in TABLES:
        op.execute(f"DROP TABLE {table}")
