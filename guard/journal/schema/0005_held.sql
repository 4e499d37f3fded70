-- When it was first written again after it had stood still: since then it may be an old copy. NULL: it never stood still.
ALTER TABLE clock ADD COLUMN resumed_at TEXT;

-- When an account's margin history was last held against this journal, by this journal's clock.
CREATE TABLE held (
    account TEXT PRIMARY KEY,
    at TEXT NOT NULL
) STRICT;
