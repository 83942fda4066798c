"""Indexes on the beginning and ending of parcel numbers, for misheard numbers.

The ending is a column of its own: behind row-level security an index serves only comparisons that can't leak, and a function
of a column does not qualify. Beginnings are compared byte by byte, whatever the database's language.
"""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

ENDING = 4  # digits, letters left out; as in delivery.inquiry


def upgrade() -> None:
    """Add the column and the two indexes."""
    op.execute(
        "ALTER TABLE shipments ADD COLUMN tracking_id_ending text"
        f" GENERATED ALWAYS AS (right(regexp_replace(tracking_id_norm, '[^0-9]', '', 'g'), {ENDING})) STORED"
    )
    op.execute("CREATE INDEX shipments_ending ON shipments (tenant_id, tracking_id_ending)")
    op.execute('CREATE INDEX shipments_beginning ON shipments (tenant_id, tracking_id_norm COLLATE "C")')


def downgrade() -> None:
    """Remove them."""
    op.execute("DROP INDEX shipments_beginning")
    op.execute("ALTER TABLE shipments DROP COLUMN tracking_id_ending")
