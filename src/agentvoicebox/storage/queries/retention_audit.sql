DELETE FROM audit_logs AS gone
USING (SELECT audit_id FROM audit_logs WHERE tenant_id = $1 AND at < $2 LIMIT $3) AS due
WHERE gone.tenant_id = $1 AND gone.audit_id = due.audit_id
