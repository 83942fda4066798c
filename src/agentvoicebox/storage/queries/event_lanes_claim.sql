-- Materialized: a subquery that is joined may run again for each row, and then takes more than its limit.
WITH due AS MATERIALIZED (
    SELECT lane FROM event_lanes
    WHERE tenant_id = $1 AND destination_id = $2 AND due_at <= $3 AND leased_until <= $3
        AND NOT EXISTS (
            SELECT FROM event_destinations WHERE tenant_id = $1 AND destination_id = $2 AND paused_until > $3
        )
    ORDER BY due_at LIMIT $4 FOR UPDATE SKIP LOCKED
)
UPDATE event_lanes AS claimed SET lease = $5, leased_until = $6
FROM due WHERE claimed.tenant_id = $1 AND claimed.destination_id = $2 AND claimed.lane = due.lane
RETURNING claimed.lane
