-- The oldest items after a position, oldest first.
SELECT item_id, position, revision, body::text AS body, deleted_at
FROM conversation_items
WHERE tenant_id = $1 AND session_id = $2 AND position > $3 AND deleted_at IS NULL
ORDER BY position
LIMIT $4
