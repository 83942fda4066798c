INSERT INTO tenants (tenant_id, history) VALUES ($1, $2::jsonb)
ON CONFLICT (tenant_id) DO UPDATE SET history = excluded.history
