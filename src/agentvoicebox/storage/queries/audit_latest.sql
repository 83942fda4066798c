SELECT audit_id, at, actor, action, subject, trace_id, body::text AS body
FROM audit_logs
WHERE tenant_id = $1
ORDER BY at DESC, audit_id DESC
LIMIT $2
