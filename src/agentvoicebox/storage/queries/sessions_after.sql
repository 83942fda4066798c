-- Sessions after a place, oldest first.
SELECT session_id, opened_at, closed_at, opened::text AS opened, closed::text AS closed
FROM sessions
WHERE tenant_id = $1 AND (opened_at, session_id) > ($2, $3)
ORDER BY opened_at, session_id
LIMIT $4
