-- Money is text (decimal, never exponent), moments are fixed-width ISO 8601 UTC text, so that text order is time order.

-- The latest wall clock this journal has seen: a clock that steps back must not free a budget.
CREATE TABLE clock (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    seen_at TEXT NOT NULL
) STRICT;

-- What `guard disarm` said, by account; '*' is all of them, those not yet written included.
CREATE TABLE disarmed (
    account TEXT PRIMARY KEY,
    at TEXT NOT NULL,
    by TEXT NOT NULL,
    because TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- Whether this journal knows what an account spent before. No row: it has yet to be rebuilt from the exchange's history.
CREATE TABLE pasts (
    account TEXT PRIMARY KEY,
    state TEXT NOT NULL CHECK (state IN ('known', 'watch_only')),
    at TEXT NOT NULL,
    because TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- A position's life. Lives that share a budget_id share one max_per_position: a re-entry within 24 h inherits.
CREATE TABLE lives (
    life_id TEXT PRIMARY KEY,
    account TEXT NOT NULL,
    symbol TEXT NOT NULL,
    side TEXT NOT NULL CHECK (side IN ('long', 'short')),
    budget_id TEXT NOT NULL,
    first_seen_at TEXT NOT NULL,
    birth_distance TEXT,
    initial_margin TEXT,
    misses INTEGER NOT NULL DEFAULT 0 CHECK (misses >= 0),
    ended_at TEXT,
    end_reason TEXT,
    CHECK ((ended_at IS NULL) = (end_reason IS NULL))
) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX one_open_life ON lives (account, symbol, side) WHERE ended_at IS NULL;
CREATE INDEX lives_by_key ON lives (account, symbol, side, ended_at);
CREATE INDEX lives_by_budget ON lives (budget_id);

CREATE TABLE intents (
    intent_id TEXT PRIMARY KEY,
    account TEXT NOT NULL,
    symbol TEXT NOT NULL,
    side TEXT NOT NULL CHECK (side IN ('long', 'short')),
    life_id TEXT NOT NULL REFERENCES lives (life_id),
    rule TEXT NOT NULL,
    hedged INTEGER NOT NULL CHECK (hedged IN (0, 1)),
    amount TEXT NOT NULL,
    currency TEXT NOT NULL,
    dollars TEXT NOT NULL,
    planned_at TEXT NOT NULL,
    counted_at TEXT NOT NULL, -- planned_at on the clock that never steps back: the daily windows go by it.
    state TEXT NOT NULL CHECK (state IN ('planned', 'sent', 'unknown', 'applied', 'refused', 'not_applied')),
    reason TEXT NOT NULL,
    facts_before TEXT NOT NULL,
    sent_at TEXT,
    settled_at TEXT,
    evidence TEXT,
    entry_id TEXT,
    facts_after TEXT,
    missed TEXT, -- Why the act did not have its effect; NULL: it had, or nobody looked yet.
    told_state TEXT, -- The state that a message was last enqueued about.
    seal TEXT NOT NULL, -- SHA-256 of the row: SQLite itself does not notice an altered amount.
    CHECK ((state IN ('applied', 'refused', 'not_applied')) = (settled_at IS NOT NULL))
) STRICT, WITHOUT ROWID;

-- Single flight: one open intent per position, whatever the code above believes.
CREATE UNIQUE INDEX one_open_intent ON intents (account, symbol, side) WHERE state IN ('planned', 'sent', 'unknown');
-- One history entry proves one intent.
CREATE UNIQUE INDEX one_proof ON intents (account, entry_id) WHERE entry_id IS NOT NULL;
CREATE INDEX intents_by_life ON intents (life_id);
CREATE INDEX intents_by_day ON intents (counted_at);
CREATE INDEX untold_intents ON intents (account) WHERE told_state IS NOT state;

CREATE TRIGGER an_intent_starts_planned BEFORE INSERT ON intents WHEN NEW.state <> 'planned'
BEGIN
    SELECT RAISE(ABORT, 'an intent starts planned');
END;

CREATE TRIGGER an_intent_goes_forth_only BEFORE UPDATE OF state ON intents
WHEN NOT (
    NEW.state = OLD.state
    OR (OLD.state = 'planned' AND NEW.state IN ('sent', 'unknown', 'applied', 'not_applied'))
    OR (OLD.state = 'sent' AND NEW.state IN ('unknown', 'applied', 'refused', 'not_applied'))
    OR (OLD.state = 'unknown' AND NEW.state IN ('applied', 'not_applied'))
    -- Proof that comes late: to count money as moved is always the safe direction.
    OR (OLD.state = 'not_applied' AND NEW.state = 'applied')
)
BEGIN
    SELECT RAISE(ABORT, 'an intent does not go back');
END;

CREATE TRIGGER an_intent_keeps_its_terms BEFORE UPDATE OF
    intent_id, account, symbol, side, life_id, rule, hedged, amount, currency, dollars, planned_at, counted_at ON intents
BEGIN
    SELECT RAISE(ABORT, 'the terms of an intent never change');
END;

CREATE TRIGGER an_intent_is_never_deleted BEFORE DELETE ON intents
BEGIN
    SELECT RAISE(ABORT, 'an intent is never deleted');
END;

-- Margin that users added before this journal knew the account, from the exchange's history. All of it counts as ours.
CREATE TABLE rebuilt (
    account TEXT NOT NULL,
    entry_id TEXT NOT NULL,
    symbol TEXT NOT NULL,
    side TEXT NOT NULL CHECK (side IN ('long', 'short')),
    budget_id TEXT, -- NULL: the position was not open; the next life of its key within 24 h takes it over.
    rule TEXT, -- NULL: no rule holds for the position.
    amount TEXT NOT NULL,
    currency TEXT NOT NULL,
    dollars TEXT, -- NULL: no price; the account is then watch-only until `guard arm`.
    at TEXT NOT NULL,
    PRIMARY KEY (account, entry_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE alert_states (
    account TEXT NOT NULL,
    subject TEXT NOT NULL,
    level TEXT NOT NULL,
    since TEXT NOT NULL,
    holds TEXT NOT NULL, -- JSON, a list of objects.
    seen_at TEXT,
    alert_id TEXT,
    told_level TEXT,
    told_at TEXT,
    PRIMARY KEY (account, subject)
) STRICT, WITHOUT ROWID;

CREATE TABLE messages (
    message_id TEXT PRIMARY KEY,
    alert TEXT NOT NULL,
    account TEXT NOT NULL,
    severity INTEGER NOT NULL, -- The order of levels, so that the most severe goes first.
    body TEXT NOT NULL, -- JSON.
    created_at TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX messages_by_alert ON messages (alert);

CREATE TABLE deliveries (
    delivery_id INTEGER PRIMARY KEY,
    message_id TEXT NOT NULL REFERENCES messages (message_id),
    channel TEXT NOT NULL,
    state TEXT NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'delivered', 'given_up')),
    attempts INTEGER NOT NULL DEFAULT 0,
    next_attempt_at TEXT NOT NULL,
    ended_at TEXT,
    error TEXT,
    UNIQUE (message_id, channel),
    CHECK ((state = 'waiting') = (ended_at IS NULL))
) STRICT;

CREATE INDEX waiting_deliveries ON deliveries (channel, next_attempt_at) WHERE state = 'waiting';

CREATE TABLE events (
    event_id INTEGER PRIMARY KEY,
    at TEXT NOT NULL,
    account TEXT, -- NULL: of the daemon itself.
    kind TEXT NOT NULL,
    subject TEXT NOT NULL,
    text TEXT NOT NULL,
    data TEXT -- JSON.
) STRICT;

CREATE INDEX events_by_time ON events (at);

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
    json_extract(messages.body, '$.title') || coalesce(' (' || deliveries.error || ')', ''), deliveries.message_id
FROM deliveries JOIN messages USING (message_id) WHERE deliveries.ended_at IS NOT NULL;
