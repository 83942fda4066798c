"""The table of shipments, and its indexes for numbers that were misheard.

As in the platform's tables the database shows a connection only the rows of the tenant that it named; partitions can't be read
around the policy. Up to version 0.1 the platform created this table, so each statement leaves alone what is there.

The ending of a number is a column of its own: behind row-level security an index serves only comparisons that can't leak, and
a function of a column is none. Beginnings are compared byte by byte, whatever the database's language.
"""

from alembic import op

revision = "d0001"
down_revision = None
branch_labels = None
depends_on = None

PARTITIONS = 8  # by hash of the tenant, as in the platform's tables
ENDING = 4  # digits, letters left out; as in numbers.inquiry


def upgrade() -> None:
    """Create the table, its partitions, its policy and its indexes."""
    op.execute("""
        CREATE TABLE IF NOT EXISTS shipments (
            tenant_id        text        NOT NULL,
            tracking_id_norm text        NOT NULL,
            status           text        NOT NULL,
            carrier          text,
            eta              date,
            event_status     text,
            event_at         timestamptz,
            event_location   text,
            updated_at       timestamptz NOT NULL DEFAULT now(),
            PRIMARY KEY (tenant_id, tracking_id_norm)
        ) PARTITION BY HASH (tenant_id)
    """)
    for remainder in range(PARTITIONS):
        partition = f"shipments_{remainder}"
        op.execute(
            f"CREATE TABLE IF NOT EXISTS {partition} PARTITION OF shipments"
            f" FOR VALUES WITH (MODULUS {PARTITIONS}, REMAINDER {remainder})"
        )
        _protect(partition)  # without a policy of its own a partition can be read through its parent only
    _protect("shipments")
    op.execute("DROP POLICY IF EXISTS shipments_of_one_tenant ON shipments")
    op.execute(
        "CREATE POLICY shipments_of_one_tenant ON shipments"
        " USING (tenant_id = current_setting('agentvoicebox.tenant_id', true))"
        " WITH CHECK (tenant_id = current_setting('agentvoicebox.tenant_id', true))"
    )
    op.execute("""
        DO $$ BEGIN
            IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'agentvoicebox_app') THEN
                GRANT SELECT, INSERT, UPDATE, DELETE ON shipments TO agentvoicebox_app;
            END IF;
        END $$
    """)
    op.execute(
        "ALTER TABLE shipments ADD COLUMN IF NOT EXISTS tracking_id_ending text"
        f" GENERATED ALWAYS AS (right(regexp_replace(tracking_id_norm, '[^0-9]', '', 'g'), {ENDING})) STORED"
    )
    op.execute("CREATE INDEX IF NOT EXISTS shipments_ending ON shipments (tenant_id, tracking_id_ending)")
    op.execute('CREATE INDEX IF NOT EXISTS shipments_beginning ON shipments (tenant_id, tracking_id_norm COLLATE "C")')


def downgrade() -> None:
    """Remove the table."""
    op.execute("DROP TABLE shipments")


def _protect(table: str) -> None:
    op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
    op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
