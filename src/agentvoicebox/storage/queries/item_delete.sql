-- A deleted item keeps its row; the deletion may come before the item.
INSERT INTO conversation_items AS old (tenant_id, session_id, item_id, position, revision, body, deleted_at)
VALUES ($1, $2, $3, $4, $4, '{}', $5)
ON CONFLICT (tenant_id, session_id, item_id) DO UPDATE
SET deleted_at = coalesce(old.deleted_at, excluded.deleted_at)
