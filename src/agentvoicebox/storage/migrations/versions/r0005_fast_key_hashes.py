"""Fast hashes of keys, and keys found many at a time.

`secret_digest` holds the fast hash of a key whose `secret_hash` is Argon2id, written when the key is first used. The slow one
stays, because gateways of the previous version read only that. Keys created from now on have the fast hash in `secret_hash`.

Look-ups of several callers share a query. As in 0003, a transaction names the prefixes that it looks for and sees these rows,
read-only.
"""

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add both."""
    op.execute("ALTER TABLE api_keys ADD COLUMN secret_digest text")
    # In a sub-select, so that the list is split once for a query, not once for a row.
    op.execute(
        "CREATE POLICY api_keys_by_prefixes ON api_keys FOR SELECT USING"
        " (prefix = ANY ((SELECT string_to_array(current_setting('agentvoicebox.key_prefixes', true), ','))::text[]))"
    )


def downgrade() -> None:
    """Remove both."""
    op.execute("DROP POLICY api_keys_by_prefixes ON api_keys")
    op.execute("ALTER TABLE api_keys DROP COLUMN secret_digest")
