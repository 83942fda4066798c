SELECT position FROM turns WHERE tenant_id = $1 AND session_id = $2 AND response_id = $3
