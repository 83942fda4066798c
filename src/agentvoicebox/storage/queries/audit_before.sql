SELECT audit_id, at, actor, action, subject, trace_id, body::text AS body
FROM audit_logs
WHERE tenant_id = $1 AND (at, audit_id) < ($2, $3)
ORDER BY at DESC, audit_id DESC
LIMIT $4
