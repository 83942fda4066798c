INSERT INTO audit_logs (tenant_id, audit_id, at, actor, action, subject, trace_id, body)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8::jsonb)
ON CONFLICT (tenant_id, audit_id) DO NOTHING
