DELETE FROM usage_entries AS gone
USING (SELECT session_id, record_id FROM usage_entries WHERE tenant_id = $1 AND began_at < $2 LIMIT $3) AS due
WHERE gone.tenant_id = $1 AND gone.session_id = due.session_id AND gone.record_id = due.record_id
