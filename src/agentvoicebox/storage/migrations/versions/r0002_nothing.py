"""Nothing. Up to version 0.1 this revision indexed the table of shipments, which now belongs to the delivery kit."""

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Change nothing."""


def downgrade() -> None:
    """Change nothing."""
