INSERT INTO shipments (tenant_id, tracking_id_norm, status, carrier, eta, event_status, event_at, event_location, updated_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
ON CONFLICT (tenant_id, tracking_id_norm) DO UPDATE
SET status = excluded.status, carrier = excluded.carrier, eta = excluded.eta, event_status = excluded.event_status,
    event_at = excluded.event_at, event_location = excluded.event_location, updated_at = excluded.updated_at
