SELECT tenant_id, history::text AS history FROM tenants ORDER BY tenant_id
