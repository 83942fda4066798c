SELECT e.event_id, e.lane, e.position FROM event_deliveries AS e
WHERE e.tenant_id = $1 AND e.destination_id = $2 AND e.dead_at IS NOT NULL
    AND EXISTS (SELECT FROM events WHERE events.tenant_id = $1 AND events.event_id = e.event_id)
ORDER BY e.dead_at LIMIT $3
