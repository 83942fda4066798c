"""The first tables: sessions, conversation items, responses, audit log.

Every table carries its tenant, is partitioned by it, and shows a connection only the rows of the tenant that it named
(row-level security, forced on the owner too). A partition shows nothing by itself, so it can't be read around the policy.

Up to version 0.1 this revision and the next also created the table of shipments. It now belongs to the delivery kit, whose first
revision takes over a table that is there.
"""

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

PARTITIONS = 8  # by hash of the tenant; enough to spread a few hundred tenants, cheap when there is one

TABLES = {
    "sessions": """
        tenant_id   text        NOT NULL,
        session_id  text        NOT NULL,
        opened_at   timestamptz,
        closed_at   timestamptz,
        opened      jsonb       NOT NULL DEFAULT '{}',
        closed      jsonb       NOT NULL DEFAULT '{}',
        PRIMARY KEY (tenant_id, session_id)
    """,
    # position: place in the session's record stream; revision: place of the newest record about the item.
    "conversation_items": """
        tenant_id   text        NOT NULL,
        session_id  text        NOT NULL,
        item_id     text        NOT NULL,
        position    bigint      NOT NULL,
        revision    bigint      NOT NULL,
        body        jsonb       NOT NULL,
        recorded_at timestamptz NOT NULL DEFAULT now(),
        deleted_at  timestamptz,
        PRIMARY KEY (tenant_id, session_id, item_id)
    """,
    "responses": """
        tenant_id   text        NOT NULL,
        session_id  text        NOT NULL,
        response_id text        NOT NULL,
        revision    bigint      NOT NULL,
        body        jsonb       NOT NULL,
        recorded_at timestamptz NOT NULL DEFAULT now(),
        PRIMARY KEY (tenant_id, session_id, response_id)
    """,
    "audit_logs": """
        tenant_id   text        NOT NULL,
        audit_id    text        NOT NULL,
        at          timestamptz NOT NULL DEFAULT now(),
        actor       text        NOT NULL,
        action      text        NOT NULL,
        subject     text        NOT NULL,
        trace_id    text        NOT NULL DEFAULT '',
        body        jsonb       NOT NULL DEFAULT '{}',
        PRIMARY KEY (tenant_id, audit_id)
    """,
}

INDEXES = (
    # The last items of a conversation, without touching the table until their bodies are read.
    "CREATE INDEX conversation_items_latest ON conversation_items"
    " (tenant_id, session_id, position DESC) INCLUDE (item_id, deleted_at)",
    "CREATE INDEX audit_logs_latest ON audit_logs (tenant_id, at DESC) INCLUDE (audit_id)",
)

RIGHTS = {
    "sessions": "SELECT, INSERT, UPDATE",
    "conversation_items": "SELECT, INSERT, UPDATE",
    "responses": "SELECT, INSERT, UPDATE",
    "audit_logs": "SELECT, INSERT",  # the log is append-only
}


def upgrade() -> None:
    """Create everything."""
    op.execute("""
        DO $$ BEGIN
            IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'agentvoicebox_app') THEN
                CREATE ROLE agentvoicebox_app NOLOGIN NOSUPERUSER NOBYPASSRLS;
            END IF;
            GRANT agentvoicebox_app TO CURRENT_USER; -- who made a role may not yet become it
        EXCEPTION
            WHEN duplicate_object OR unique_violation THEN NULL; -- another database of this server was faster
            WHEN insufficient_privilege THEN NULL; -- an owner who may make no roles works as itself; the policies hold for it
        END $$
    """)
    for table, columns in TABLES.items():
        op.execute(f"CREATE TABLE {table} ({columns}) PARTITION BY HASH (tenant_id)")
        for remainder in range(PARTITIONS):
            op.execute(
                f"CREATE TABLE {table}_{remainder} PARTITION OF {table}"
                f" FOR VALUES WITH (MODULUS {PARTITIONS}, REMAINDER {remainder})"
            )
            # No policy of its own: a partition can be read through its parent only.
            op.execute(f"ALTER TABLE {table}_{remainder} ENABLE ROW LEVEL SECURITY")
            op.execute(f"ALTER TABLE {table}_{remainder} FORCE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
        op.execute(
            f"CREATE POLICY {table}_of_one_tenant ON {table}"
            " USING (tenant_id = current_setting('agentvoicebox.tenant_id', true))"
            " WITH CHECK (tenant_id = current_setting('agentvoicebox.tenant_id', true))"
        )
        op.execute(f"""
            DO $$ BEGIN
                IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'agentvoicebox_app') THEN
                    GRANT {RIGHTS[table]} ON {table} TO agentvoicebox_app;
                END IF;
            END $$
        """)
    for index in INDEXES:
        op.execute(index)


def downgrade() -> None:
    """Remove the tables; the role stays, other databases of the server may use it."""
    for table in TABLES:
        op.execute(f"DROP TABLE {table}")
