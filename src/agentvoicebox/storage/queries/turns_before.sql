-- The newest turns before a position, newest first.
SELECT response_id, body::text AS body
FROM turns
WHERE tenant_id = $1 AND session_id = $2 AND position < $3
ORDER BY position DESC
LIMIT $4
