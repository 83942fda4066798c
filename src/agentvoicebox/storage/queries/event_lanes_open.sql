-- A lane that is there keeps its times; its row is locked all the same, so that no deliverer removes it before this commits.
INSERT INTO event_lanes AS old (tenant_id, destination_id, lane, due_at)
SELECT $1, new.*, now() FROM unnest($2::text[], $3::text[]) AS new (destination_id, lane)
ON CONFLICT (tenant_id, destination_id, lane) DO UPDATE SET due_at = old.due_at
