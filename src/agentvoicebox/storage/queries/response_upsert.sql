INSERT INTO responses AS old (tenant_id, session_id, response_id, revision, body)
VALUES ($1, $2, $3, $4, $5::jsonb)
ON CONFLICT (tenant_id, session_id, response_id) DO UPDATE
SET revision = excluded.revision, body = excluded.body
WHERE excluded.revision >= old.revision
