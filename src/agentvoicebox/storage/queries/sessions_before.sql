-- Sessions before a place, newest first.
SELECT session_id, opened_at, closed_at, opened::text AS opened, closed::text AS closed
FROM sessions
WHERE tenant_id = $1 AND (opened_at, session_id) < ($2, $3)
ORDER BY opened_at DESC, session_id DESC
LIMIT $4
