DELETE FROM conversation_items AS gone
USING (SELECT session_id, item_id FROM conversation_items WHERE tenant_id = $1 AND session_id = ANY($2::text[]) LIMIT $3) AS due
WHERE gone.tenant_id = $1 AND gone.session_id = due.session_id AND gone.item_id = due.item_id
