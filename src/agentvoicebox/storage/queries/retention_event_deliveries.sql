-- Of events that are gone, delivered or not.
DELETE FROM event_deliveries AS gone
USING (
    SELECT destination_id, event_id FROM event_deliveries AS old
    WHERE tenant_id = $1 AND created_at < $2
        AND NOT EXISTS (SELECT FROM events WHERE events.tenant_id = $1 AND events.event_id = old.event_id)
    LIMIT $3
) AS due
WHERE gone.tenant_id = $1 AND gone.destination_id = due.destination_id AND gone.event_id = due.event_id
