"""Audio of calls, of tenants that want it kept: the pieces of one file or, after a takeover, of several."""

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

PARTITIONS = 8  # as in 0001

# position: place in the session's record stream. key: with which the bytes are encrypted; empty: they are not.
CALL_AUDIO = """
    tenant_id   text        NOT NULL,
    session_id  text        NOT NULL,
    piece_id    text        NOT NULL,
    position    bigint      NOT NULL,
    key         text        NOT NULL DEFAULT '',
    data        bytea       NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, session_id, piece_id)
"""
OF_ONE_TENANT = "tenant_id = current_setting('agentvoicebox.tenant_id', true)"
RIGHTS = {"agentvoicebox_app": "SELECT, INSERT", "agentvoicebox_janitor": "SELECT, DELETE"}


def upgrade() -> None:
    """Add the table."""
    op.execute(f"CREATE TABLE call_audio ({CALL_AUDIO}) PARTITION BY HASH (tenant_id)")
    parts = [f"call_audio_{remainder}" for remainder in range(PARTITIONS)]
    for remainder, part in enumerate(parts):
        op.execute(
            f"CREATE TABLE {part} PARTITION OF call_audio FOR VALUES WITH (MODULUS {PARTITIONS}, REMAINDER {remainder})"
        )
        op.execute(f"ALTER TABLE {part} ALTER COLUMN data SET STORAGE EXTERNAL")  # it can't be compressed any further
    for table in ("call_audio", *parts):  # a partition has no policy of its own: it is read through its parent only
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
    op.execute(
        f"CREATE POLICY call_audio_of_one_tenant ON call_audio USING ({OF_ONE_TENANT}) WITH CHECK ({OF_ONE_TENANT})"
    )
    op.execute("CREATE INDEX call_audio_in_order ON call_audio (tenant_id, session_id, position)")
    for role, rights in RIGHTS.items():
        op.execute(f"""
            DO $$ BEGIN
                IF EXISTS (SELECT FROM pg_roles WHERE rolname = '{role}') THEN
                    GRANT {rights} ON call_audio TO {role};
                END IF;
            END $$
        """)


def downgrade() -> None:
    """Remove the table."""
    op.execute("DROP TABLE call_audio")
