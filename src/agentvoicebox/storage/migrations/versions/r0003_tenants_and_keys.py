"""Tenants, their projects, and API keys.

As in 0001 the database shows a connection the rows of the tenant that it named, and nothing else. One exception is needed: a
caller's key must be found before its tenant is known. So a transaction may name one key's public prefix instead, and then sees
that one row, read-only; keys can't be listed this way. (A SECURITY DEFINER function would need an owner whom the policies
don't bind; here they bind every role.) Not partitioned: the tables are small, and a prefix must be unique over all tenants.
"""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

TABLES = {
    # limits: {"requests": …, "tokens": …, "window_s": …}, each of them optional; empty: the deployment's own.
    "tenants": """
        tenant_id    text        PRIMARY KEY CHECK (tenant_id ~ '^[a-z0-9][a-z0-9-]{0,62}$'),
        name         text        NOT NULL DEFAULT '',
        limits       jsonb       NOT NULL DEFAULT '{}',
        created_at   timestamptz NOT NULL DEFAULT now(),
        suspended_at timestamptz
    """,
    "projects": """
        tenant_id  text        NOT NULL REFERENCES tenants,
        project_id text        NOT NULL CHECK (project_id ~ '^[a-z0-9][a-z0-9-]{0,62}$'),
        created_at timestamptz NOT NULL DEFAULT now(),
        PRIMARY KEY (tenant_id, project_id)
    """,
    "api_keys": """
        prefix      text        PRIMARY KEY CHECK (prefix ~ '^[0-9a-f]{12}$'),
        tenant_id   text        NOT NULL REFERENCES tenants,
        project_id  text,
        name        text        NOT NULL DEFAULT '',
        secret_hash text        NOT NULL,
        scopes      text[]      NOT NULL,
        created_at  timestamptz NOT NULL DEFAULT now(),
        expires_at  timestamptz,
        revoked_at  timestamptz,
        rotated_to  text,
        FOREIGN KEY (tenant_id, project_id) REFERENCES projects
    """,
}

OF_ONE_TENANT = "tenant_id = current_setting('agentvoicebox.tenant_id', true)"


def upgrade() -> None:
    """Create everything."""
    for table, columns in TABLES.items():
        op.execute(f"CREATE TABLE {table} ({columns})")
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
        op.execute(
            f"CREATE POLICY {table}_of_one_tenant ON {table} USING ({OF_ONE_TENANT}) WITH CHECK ({OF_ONE_TENANT})"
        )
        op.execute(f"""
            DO $$ BEGIN
                IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'agentvoicebox_app') THEN
                    GRANT SELECT, INSERT, UPDATE ON {table} TO agentvoicebox_app;
                END IF;
            END $$
        """)
    op.execute(
        "CREATE POLICY api_keys_by_prefix ON api_keys FOR SELECT"
        " USING (prefix = current_setting('agentvoicebox.key_prefix', true))"
    )
    op.execute("CREATE INDEX api_keys_of_tenant ON api_keys (tenant_id, created_at)")


def downgrade() -> None:
    """Remove the tables."""
    for table in reversed(TABLES):
        op.execute(f"DROP TABLE {table}")
