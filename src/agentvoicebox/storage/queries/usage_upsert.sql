-- Totals of one session, or of one response. They only grow, so that a record that comes twice counts once.
INSERT INTO usage_entries AS old
    (tenant_id, session_id, record_id, began_at, ended_at, audio_in_ms, audio_out_ms, input_tokens, output_tokens)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
ON CONFLICT (tenant_id, session_id, record_id) DO UPDATE
SET began_at = least(old.began_at, excluded.began_at),
    ended_at = greatest(old.ended_at, excluded.ended_at),
    audio_in_ms = greatest(old.audio_in_ms, excluded.audio_in_ms),
    audio_out_ms = greatest(old.audio_out_ms, excluded.audio_out_ms),
    input_tokens = greatest(old.input_tokens, excluded.input_tokens),
    output_tokens = greatest(old.output_tokens, excluded.output_tokens)
