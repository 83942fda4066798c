SELECT item_id, position, revision, body::text AS body, deleted_at
FROM conversation_items
WHERE tenant_id = $1 AND session_id = $2 AND item_id = ANY($3::text[])
