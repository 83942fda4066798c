-- Destinations of all tenants with lanes that are due and free; those that wait longest come first.
SELECT tenant_id, destination_id, count(*)::int AS lanes
FROM event_lanes WHERE due_at <= $1 AND leased_until <= $1
GROUP BY tenant_id, destination_id ORDER BY min(due_at) LIMIT 1000
