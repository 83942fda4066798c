DELETE FROM turns AS gone
USING (SELECT session_id, response_id FROM turns WHERE tenant_id = $1 AND session_id = ANY($2::text[]) LIMIT $3) AS due
WHERE gone.tenant_id = $1 AND gone.session_id = due.session_id AND gone.response_id = due.response_id
