SELECT (began_at AT TIME ZONE 'UTC')::date AS day,
    count(*) FILTER (WHERE record_id = session_id) AS sessions,
    coalesce(sum(extract(epoch FROM ended_at - began_at)) FILTER (WHERE record_id = session_id), 0)::float8 AS connected_s,
    sum(audio_in_ms)::bigint AS audio_in_ms,
    sum(audio_out_ms)::bigint AS audio_out_ms,
    sum(input_tokens)::bigint AS input_tokens,
    sum(output_tokens)::bigint AS output_tokens
FROM usage_entries
WHERE tenant_id = $1 AND began_at >= $2 AND began_at < $3
GROUP BY day
ORDER BY day
