SELECT session_id, opened_at, closed_at, opened::text AS opened, closed::text AS closed
FROM sessions
WHERE tenant_id = $1 AND session_id = $2
