-- One item; a newer record replaces an older one, in whatever order they come. Its place stays where it was first recorded.
INSERT INTO conversation_items AS old (tenant_id, session_id, item_id, position, revision, body)
VALUES ($1, $2, $3, $4, $4, $5::jsonb)
ON CONFLICT (tenant_id, session_id, item_id) DO UPDATE
SET position = least(old.position, excluded.position),
    revision = greatest(old.revision, excluded.revision),
    body = CASE WHEN excluded.revision >= old.revision OR old.body = '{}' THEN excluded.body ELSE old.body END
