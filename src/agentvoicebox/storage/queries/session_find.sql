SELECT session_id, opened_at, closed_at, opened::text AS opened, closed::text AS closed, verdict::text AS verdict,
    (SELECT count(*) FROM turns AS t WHERE t.tenant_id = s.tenant_id AND t.session_id = s.session_id) AS turns,
    EXISTS (SELECT FROM call_audio AS a WHERE a.tenant_id = s.tenant_id AND a.session_id = s.session_id) AS has_audio
FROM sessions AS s
WHERE tenant_id = $1 AND session_id = $2
