-- What became of deliveries: a row for each transaction that settled, replayed or cancelled some.
CREATE TABLE {p}results (
    id      INTEGER PRIMARY KEY,
    at      INTEGER NOT NULL, -- when they were stored
    entries BLOB    NOT NULL  -- see results.go
);
