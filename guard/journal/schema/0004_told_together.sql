-- Many messages may go out in one: the message that stood first in it. NULL: it went alone, or did not go yet.
ALTER TABLE deliveries ADD COLUMN told_with TEXT REFERENCES messages (message_id);

CREATE INDEX told_together ON deliveries (told_with, channel) WHERE told_with IS NOT NULL;

DROP VIEW history;
-- Everything `guard history` tells, each fact from the table that owns it.
CREATE VIEW history AS
SELECT at, account, kind, subject, text, data FROM events
UNION ALL
SELECT planned_at, account, 'intent.planned', symbol || ' ' || side, amount || ' ' || currency || ': ' || reason, intent_id
FROM intents
UNION ALL
SELECT settled_at, account, 'intent.' || state, symbol || ' ' || side, amount || ' ' || currency || ': ' || coalesce(evidence, ''), intent_id
FROM intents WHERE settled_at IS NOT NULL
UNION ALL
SELECT sent_at, account, 'intent.' || state, symbol || ' ' || side, amount || ' ' || currency || ': ' || coalesce(evidence, 'no answer yet'), intent_id
FROM intents WHERE state IN ('sent', 'unknown') AND sent_at IS NOT NULL
UNION ALL
SELECT deliveries.ended_at, messages.account, 'message.' || deliveries.state, deliveries.channel,
    json_extract(messages.body, '$.title') || coalesce(' (' || deliveries.error || ')', '') || CASE
        WHEN deliveries.told_with IS NULL THEN ''
        ELSE ' (one of ' || (
            SELECT count(*) FROM deliveries AS other
            WHERE other.told_with = deliveries.told_with AND other.channel = deliveries.channel
        ) || ' in one message)'
    END,
    deliveries.message_id
FROM deliveries JOIN messages USING (message_id) WHERE deliveries.ended_at IS NOT NULL;
