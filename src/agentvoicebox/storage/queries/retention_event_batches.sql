DELETE FROM event_batches AS gone
USING (SELECT session_id, owner FROM event_batches WHERE tenant_id = $1 AND last_at < $2 LIMIT $3) AS due
WHERE gone.tenant_id = $1 AND gone.session_id = due.session_id AND gone.owner = due.owner
