-- A piece of a call's audio. It is written once; a batch that comes again changes nothing.
INSERT INTO call_audio (tenant_id, session_id, piece_id, position, key, data)
VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (tenant_id, session_id, piece_id) DO NOTHING
