DELETE FROM events AS gone
USING (SELECT event_id FROM events WHERE tenant_id = $1 AND recorded_at < $2 LIMIT $3) AS due
WHERE gone.tenant_id = $1 AND gone.event_id = due.event_id
