-- What a batch of records says of its session; in whatever order batches come.
INSERT INTO sessions AS old (tenant_id, session_id, opened_at, last_at, closed_at, opened, closed, agent, verdict)
VALUES ($1, $2, $3, $4, $5, coalesce($6::jsonb, '{}'), coalesce($7::jsonb, '{}'), $8, coalesce($9::jsonb, '{}'))
ON CONFLICT (tenant_id, session_id) DO UPDATE
SET opened_at = least(old.opened_at, excluded.opened_at),
    last_at = greatest(old.last_at, excluded.last_at),
    closed_at = coalesce(old.closed_at, excluded.closed_at),
    opened = CASE WHEN old.opened = '{}' THEN excluded.opened ELSE old.opened END,
    closed = CASE WHEN old.closed = '{}' THEN excluded.closed ELSE old.closed END,
    agent = CASE WHEN old.agent = '' THEN excluded.agent ELSE old.agent END,
    verdict = CASE WHEN old.verdict = '{}' THEN excluded.verdict ELSE old.verdict END
