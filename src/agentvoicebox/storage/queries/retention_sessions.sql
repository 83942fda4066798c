DELETE FROM sessions WHERE tenant_id = $1 AND session_id = ANY($2::text[]) AND last_at < $3
