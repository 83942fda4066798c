SELECT event_id, type, lane, position, recorded_at FROM events
WHERE tenant_id = $1 AND recorded_at >= $2 AND (recorded_at, event_id) > ($2, $3::text)
ORDER BY recorded_at, event_id LIMIT $4
