-- Events that are not there yet; returns which those are.
INSERT INTO events (tenant_id, event_id, type, lane, position, owner, number, body)
SELECT $1, new.* FROM unnest($2::text[], $3::text[], $4::text[], $5::bigint[], $6::text[], $7::int[], $8::text[])
    AS new (event_id, type, lane, position, owner, number, body)
ON CONFLICT (tenant_id, event_id) DO NOTHING
RETURNING event_id
