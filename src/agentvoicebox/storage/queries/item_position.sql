SELECT position FROM conversation_items WHERE tenant_id = $1 AND session_id = $2 AND item_id = $3
