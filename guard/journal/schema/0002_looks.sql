-- What an account looked like at some moments, as account files (JSON): what "why did it move" is answered from.
CREATE TABLE looks (
    account TEXT NOT NULL,
    at TEXT NOT NULL,
    accounts TEXT NOT NULL,
    PRIMARY KEY (account, at)
) STRICT, WITHOUT ROWID;
