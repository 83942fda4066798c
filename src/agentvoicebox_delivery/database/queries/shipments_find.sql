SELECT tracking_id_norm, status, carrier, eta, event_status, event_at, event_location, updated_at
FROM shipments
WHERE tenant_id = $1 AND tracking_id_norm = ANY($2::text[])
