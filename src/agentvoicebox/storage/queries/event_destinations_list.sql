-- A tenant's destinations, with what each has not had, and why the last attempt of that failed.
SELECT d.destination_id, d.kind, d.target, d.types, d.created_at, coalesce(left_over.waiting, 0)::int AS waiting,
    coalesce(left_over.dead, 0)::int AS dead, coalesce(left_over.problem, '') AS problem
FROM event_destinations AS d
LEFT JOIN LATERAL (
    SELECT count(*) FILTER (WHERE dead_at IS NULL) AS waiting, count(*) FILTER (WHERE dead_at IS NOT NULL) AS dead,
        (array_agg(problem ORDER BY position DESC) FILTER (WHERE problem <> ''))[1] AS problem
    FROM event_deliveries AS e WHERE e.tenant_id = $1 AND e.destination_id = d.destination_id
) AS left_over ON true
WHERE d.tenant_id = $1 ORDER BY d.created_at, d.destination_id
