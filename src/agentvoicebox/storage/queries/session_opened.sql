INSERT INTO sessions AS old (tenant_id, session_id, opened_at, opened)
VALUES ($1, $2, $3, $4::jsonb)
ON CONFLICT (tenant_id, session_id) DO UPDATE
SET opened_at = coalesce(old.opened_at, excluded.opened_at),
    opened = CASE WHEN old.opened = '{}' THEN excluded.opened ELSE old.opened END
