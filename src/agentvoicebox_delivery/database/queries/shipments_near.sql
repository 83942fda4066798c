SELECT tracking_id_norm, status, carrier, eta, event_status, event_at, event_location, updated_at
FROM shipments
WHERE tenant_id = $1 AND tracking_id_norm = ANY($6::text[]) -- by name, so that the limits below leave none of them out
UNION
(SELECT alike.* FROM (
    (SELECT tracking_id_norm, status, carrier, eta, event_status, event_at, event_location, updated_at
     FROM shipments
     WHERE tenant_id = $1 AND tracking_id_ending = ANY($2::text[])
     ORDER BY array_position($2::text[], tracking_id_ending) -- what was heard before what it may have been
     LIMIT $4)
    UNION
    SELECT alike.*
    FROM unnest($3::text[]) AS wanted(beginning)
    CROSS JOIN LATERAL (
        SELECT tracking_id_norm, status, carrier, eta, event_status, event_at, event_location, updated_at
        FROM shipments
        WHERE tenant_id = $1
          AND tracking_id_norm COLLATE "C" >= wanted.beginning
          AND tracking_id_norm COLLATE "C" < wanted.beginning || '~' -- above every letter and digit
        LIMIT $4
    ) AS alike
) AS alike
LIMIT $5)
