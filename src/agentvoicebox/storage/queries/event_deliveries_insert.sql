-- What destinations have not had yet. An event that is sent again starts anew.
INSERT INTO event_deliveries AS old (tenant_id, destination_id, event_id, lane, position, created_at)
SELECT $1, new.*, now() FROM unnest($2::text[], $3::text[], $4::text[], $5::bigint[])
    AS new (destination_id, event_id, lane, position)
ON CONFLICT (tenant_id, destination_id, event_id) DO UPDATE
SET created_at = excluded.created_at, attempts = 0, problem = '', dead_at = NULL
