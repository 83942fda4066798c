-- A PostgreSQL role for Grafana that sees one tenant's calls, turns and usage, and no words. For the dashboards "Tenant" and "Call".
--
--   psql URL -v tenant=acme -v role=grafana_acme -v password="$(openssl rand -hex 24)" -f reader.sql
--
-- Then a data source in Grafana with this role, named like the tenant. Row-level security shows the role the rows of the tenant in
-- agentvoicebox.tenant_id only. The role could name another tenant in a query of its own, so let only operators edit dashboards.
\set ON_ERROR_STOP on
CREATE ROLE :"role" LOGIN PASSWORD :'password' NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE CONNECTION LIMIT 10;
ALTER ROLE :"role" SET agentvoicebox.tenant_id = :'tenant';
ALTER ROLE :"role" SET default_transaction_read_only = on;
ALTER ROLE :"role" SET statement_timeout = '10s';
GRANT SELECT (tenant_id, session_id, opened_at, closed_at, last_at, agent, verdict) ON sessions TO :"role";
GRANT SELECT (tenant_id, session_id, response_id, position, body, recorded_at) ON turns TO :"role";
GRANT SELECT ON usage_entries TO :"role";
