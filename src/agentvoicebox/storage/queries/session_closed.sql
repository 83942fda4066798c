INSERT INTO sessions AS old (tenant_id, session_id, closed_at, closed)
VALUES ($1, $2, $3, $4::jsonb)
ON CONFLICT (tenant_id, session_id) DO UPDATE
SET closed_at = coalesce(old.closed_at, excluded.closed_at),
    closed = CASE WHEN old.closed = '{}' THEN excluded.closed ELSE old.closed END
