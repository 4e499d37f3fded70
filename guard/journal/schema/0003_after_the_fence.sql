-- After the fence an outcome that nobody can find out no longer locks its position. It counts as spent all the same.
-- Not sealed: rows of before have a seal without it, and nothing but the lock hangs on it.
ALTER TABLE intents ADD COLUMN unlocked_at TEXT;

DROP INDEX one_open_intent;
-- Single flight: one open intent per position whose request may still be executed, whatever the code above believes.
CREATE UNIQUE INDEX one_open_intent ON intents (account, symbol, side)
WHERE state IN ('planned', 'sent', 'unknown') AND unlocked_at IS NULL;

CREATE TRIGGER a_lock_is_opened_once BEFORE UPDATE OF unlocked_at ON intents WHEN OLD.unlocked_at IS NOT NULL
BEGIN
    SELECT RAISE(ABORT, 'a lock is opened once');
END;

-- Why nothing more is added to a position until `guard arm`: somebody else adds margin to it. NULL: nobody was seen to.
ALTER TABLE lives ADD COLUMN rival TEXT;

-- A past that is only watched until then, or until `guard arm`. NULL with watch_only: until `guard arm` alone.
ALTER TABLE pasts ADD COLUMN until TEXT;
