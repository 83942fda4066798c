SELECT session_id FROM sessions WHERE tenant_id = $1 AND last_at < $2 ORDER BY last_at LIMIT $3
