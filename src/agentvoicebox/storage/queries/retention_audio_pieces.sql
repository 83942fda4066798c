DELETE FROM call_audio AS gone
USING (SELECT session_id, piece_id FROM call_audio WHERE tenant_id = $1 AND session_id = ANY($2::text[]) LIMIT $3) AS due
WHERE gone.tenant_id = $1 AND gone.session_id = due.session_id AND gone.piece_id = due.piece_id
