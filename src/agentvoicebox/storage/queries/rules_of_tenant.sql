SELECT history::text FROM tenants WHERE tenant_id = $1
