"""History in pages, usage, and deletion of old records.

Every session has a row with the times of its first and last record, whichever record of it comes first. Usage has rows of its
own, one for the session and one for each response, so that it outlives the conversation; each of them may be written again.

A role of its own deletes (`agentvoicebox_janitor`): the role that serves callers may not. It sees one tenant at a
time like every role; a transaction that declares it may read the list of tenants, and nothing more than the rows of `tenants`.
"""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

PARTITIONS = 8  # as in 0001

# began_at, ended_at: of the session's own entry (record_id = session_id), its first and last record.
USAGE = """
    tenant_id     text        NOT NULL,
    session_id    text        NOT NULL,
    record_id     text        NOT NULL,
    began_at      timestamptz NOT NULL,
    ended_at      timestamptz NOT NULL,
    audio_in_ms   bigint      NOT NULL DEFAULT 0,
    audio_out_ms  bigint      NOT NULL DEFAULT 0,
    input_tokens  bigint      NOT NULL DEFAULT 0,
    output_tokens bigint      NOT NULL DEFAULT 0,
    PRIMARY KEY (tenant_id, session_id, record_id)
"""
OF_ONE_TENANT = "tenant_id = current_setting('agentvoicebox.tenant_id', true)"
KEPT = ("sessions", "conversation_items", "responses", "audit_logs", "usage_entries")


def upgrade() -> None:
    """Create everything."""
    # By rewriting, since row-level security would hide the rows from an UPDATE, also from the owner's.
    op.execute(
        "ALTER TABLE sessions ALTER COLUMN opened_at TYPE timestamptz USING coalesce(opened_at, closed_at, now()),"
        " ALTER COLUMN opened_at SET NOT NULL, ADD COLUMN last_at timestamptz NOT NULL DEFAULT now()"
    )
    op.execute("CREATE INDEX sessions_newest ON sessions (tenant_id, opened_at DESC, session_id DESC)")
    op.execute("CREATE INDEX sessions_over ON sessions (tenant_id, last_at) INCLUDE (session_id)")
    op.execute("ALTER TABLE tenants ADD COLUMN history jsonb NOT NULL DEFAULT '{}'")  # storage.rules.TenantRules
    op.execute(
        "CREATE POLICY tenants_listed ON tenants FOR SELECT"
        " USING (current_setting('agentvoicebox.lists_tenants', true) = 'yes')"
    )
    _usage()
    _janitor()


def _usage() -> None:
    op.execute(f"CREATE TABLE usage_entries ({USAGE}) PARTITION BY HASH (tenant_id)")
    parts = [f"usage_entries_{remainder}" for remainder in range(PARTITIONS)]
    for remainder, part in enumerate(parts):
        op.execute(
            f"CREATE TABLE {part} PARTITION OF usage_entries"
            f" FOR VALUES WITH (MODULUS {PARTITIONS}, REMAINDER {remainder})"
        )
    for table in ("usage_entries", *parts):  # a partition has no policy of its own: it is read through its parent only
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
    op.execute(
        f"CREATE POLICY usage_entries_of_one_tenant ON usage_entries USING ({OF_ONE_TENANT}) WITH CHECK ({OF_ONE_TENANT})"
    )
    op.execute(
        "CREATE INDEX usage_entries_by_day ON usage_entries (tenant_id, began_at) INCLUDE"
        " (session_id, record_id, ended_at, audio_in_ms, audio_out_ms, input_tokens, output_tokens)"
    )
    op.execute("""
        DO $$ BEGIN
            IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'agentvoicebox_app') THEN
                GRANT SELECT, INSERT, UPDATE ON usage_entries TO agentvoicebox_app;
            END IF;
        END $$
    """)


def _janitor() -> None:
    op.execute(f"""
        DO $$ BEGIN
            BEGIN
                IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'agentvoicebox_janitor') THEN
                    CREATE ROLE agentvoicebox_janitor NOLOGIN NOSUPERUSER NOBYPASSRLS;
                END IF;
                GRANT agentvoicebox_janitor TO CURRENT_USER;
            EXCEPTION
                WHEN duplicate_object OR unique_violation THEN NULL; -- another database of this server was faster
                WHEN insufficient_privilege THEN NULL; -- then the owner sweeps as itself; the policies hold for it
            END;
            IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'agentvoicebox_janitor') THEN
                GRANT SELECT ON tenants TO agentvoicebox_janitor;
                GRANT SELECT, DELETE ON {", ".join(KEPT)} TO agentvoicebox_janitor;
            END IF;
        END $$
    """)


def downgrade() -> None:
    """Remove what was added; the role stays, other databases of the server may use it."""
    op.execute("DROP TABLE usage_entries")
    op.execute("DROP POLICY tenants_listed ON tenants")
    op.execute("ALTER TABLE tenants DROP COLUMN history")
    op.execute("DROP INDEX sessions_newest")
    op.execute("DROP INDEX sessions_over")
    op.execute("ALTER TABLE sessions DROP COLUMN last_at, ALTER COLUMN opened_at DROP NOT NULL")
    op.execute(f"""
        DO $$ BEGIN
            IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'agentvoicebox_janitor') THEN
                REVOKE ALL ON tenants, {", ".join(KEPT[:-1])} FROM agentvoicebox_janitor;
            END IF;
        END $$
    """)
