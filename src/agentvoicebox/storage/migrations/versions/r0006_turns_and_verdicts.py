"""Latency ledgers of answered turns, and the verdict on each session.

A turn's row holds numbers and ids, no words, so it is stored in clear under every rule for words. The same holds for the verdict
and for the agent's name, which sessions are searched by: it is in `opened` too, where it may be encrypted. Sessions of earlier
versions have an empty name here.
"""

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

PARTITIONS = 8  # as in 0001

# position: place in the session's record stream.
TURNS = """
    tenant_id   text        NOT NULL,
    session_id  text        NOT NULL,
    response_id text        NOT NULL,
    position    bigint      NOT NULL,
    body        jsonb       NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, session_id, response_id)
"""
OF_ONE_TENANT = "tenant_id = current_setting('agentvoicebox.tenant_id', true)"
RIGHTS = {"agentvoicebox_app": "SELECT, INSERT, UPDATE", "agentvoicebox_janitor": "SELECT, DELETE"}


def upgrade() -> None:
    """Add all of it."""
    op.execute(f"CREATE TABLE turns ({TURNS}) PARTITION BY HASH (tenant_id)")
    parts = [f"turns_{remainder}" for remainder in range(PARTITIONS)]
    for remainder, part in enumerate(parts):
        op.execute(
            f"CREATE TABLE {part} PARTITION OF turns FOR VALUES WITH (MODULUS {PARTITIONS}, REMAINDER {remainder})"
        )
    for table in ("turns", *parts):  # a partition has no policy of its own: it is read through its parent only
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
    op.execute(f"CREATE POLICY turns_of_one_tenant ON turns USING ({OF_ONE_TENANT}) WITH CHECK ({OF_ONE_TENANT})")
    op.execute("CREATE INDEX turns_in_order ON turns (tenant_id, session_id, position)")
    for role, rights in RIGHTS.items():
        op.execute(f"""
            DO $$ BEGIN
                IF EXISTS (SELECT FROM pg_roles WHERE rolname = '{role}') THEN
                    GRANT {rights} ON turns TO {role};
                END IF;
            END $$
        """)
    # constant defaults: no row is rewritten
    op.execute(
        "ALTER TABLE sessions ADD COLUMN agent text NOT NULL DEFAULT '', ADD COLUMN verdict jsonb NOT NULL DEFAULT '{}'"
    )


def downgrade() -> None:
    """Remove all of it."""
    op.execute("ALTER TABLE sessions DROP COLUMN agent, DROP COLUMN verdict")
    op.execute("DROP TABLE turns")
