-- The ledger of one answered turn. It is written once; a batch that comes again changes nothing.
INSERT INTO turns (tenant_id, session_id, response_id, position, body)
VALUES ($1, $2, $3, $4, $5::jsonb)
ON CONFLICT (tenant_id, session_id, response_id) DO NOTHING
