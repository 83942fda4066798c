-- Which of the newest $4 sessions of a range of time have an item in clear that contains all of some words ($5, as patterns of ILIKE).
-- Words are in an item's transcript, and in the texts, transcripts, arguments and outputs of what the client knows of it.
WITH newest AS (
    SELECT session_id
    FROM sessions
    WHERE tenant_id = $1 AND opened_at >= $2 AND opened_at < $3
    ORDER BY opened_at DESC, session_id DESC
    LIMIT $4
)
SELECT session_id
FROM newest
WHERE EXISTS (
    SELECT
    FROM conversation_items AS i
    WHERE i.tenant_id = $1 AND i.session_id = newest.session_id AND i.deleted_at IS NULL AND NOT i.body ? 'sealed'
        AND concat_ws(
            ' ', i.body ->> 'transcript', i.body #>> '{item,arguments}', i.body #>> '{item,output}',
            jsonb_path_query_array(i.body, '$.item.content[*].text'),
            jsonb_path_query_array(i.body, '$.item.content[*].transcript')
        ) ILIKE ALL ($5::text[])
)
