-- One more batch of a session's records is written. They may come in any order, and twice.
INSERT INTO event_batches AS old (tenant_id, session_id, owner, written, last_at)
VALUES ($1, $2, $3, int4multirange(int4range($4, $4, '[]')), $5)
ON CONFLICT (tenant_id, session_id, owner) DO UPDATE
SET written = old.written + excluded.written, last_at = greatest(old.last_at, excluded.last_at)
