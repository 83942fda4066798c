-- Sessions before a place within a range of time, newest first. $6 to $10 filter, each unless it is null: the agent, whether the session is
-- open (without an end, and begun after $8), the beginning of its id, and a list of ids.
SELECT session_id, opened_at, closed_at, opened::text AS opened, closed::text AS closed, verdict::text AS verdict,
    (SELECT count(*) FROM turns AS t WHERE t.tenant_id = s.tenant_id AND t.session_id = s.session_id) AS turns,
    EXISTS (SELECT FROM call_audio AS a WHERE a.tenant_id = s.tenant_id AND a.session_id = s.session_id) AS has_audio
FROM sessions AS s
WHERE tenant_id = $1 AND (opened_at, session_id) < ($2, $3) AND opened_at >= $4
    AND ($6::text IS NULL OR agent = $6 OR (agent = '' AND opened ->> 'agent' = $6))
    AND ($7::boolean IS NULL OR $7 = (closed_at IS NULL AND opened_at > $8))
    AND ($9::text IS NULL OR session_id ^@ $9)
    AND ($10::text[] IS NULL OR session_id = ANY($10))
ORDER BY opened_at DESC, session_id DESC
LIMIT $5
