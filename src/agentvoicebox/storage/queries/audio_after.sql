-- The oldest pieces of a call's audio after a position.
SELECT piece_id, position, key, data
FROM call_audio
WHERE tenant_id = $1 AND session_id = $2 AND position > $3
ORDER BY position
LIMIT $4
