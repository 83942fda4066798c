-- The first event that the destination has not had, and whether every batch of records before its own is written.
SELECT due.event_id, event.type, event.body, event.recorded_at, due.created_at,
    event.number < 0 OR coalesce((
        SELECT batches.written @> int4range(lower(batches.written), event.number, '[]')
        FROM event_batches AS batches
        WHERE batches.tenant_id = $1 AND batches.session_id = due.lane AND batches.owner = event.owner
    ), true) AS is_next
FROM event_deliveries AS due
JOIN events AS event ON event.tenant_id = due.tenant_id AND event.event_id = due.event_id
WHERE due.tenant_id = $1 AND due.destination_id = $2 AND due.lane = $3 AND due.dead_at IS NULL
ORDER BY due.position, due.event_id LIMIT 1
