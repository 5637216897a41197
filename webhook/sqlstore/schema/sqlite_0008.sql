-- Which processes deliver: see processes.go.
CREATE TABLE {p}processes (
    id               TEXT    NOT NULL PRIMARY KEY,
    name             TEXT    NOT NULL,
    version          TEXT    NOT NULL, -- of the library
    started_at       INTEGER NOT NULL,
    heartbeat        INTEGER NOT NULL, -- when it was last heard of
    stopping         INTEGER NOT NULL, -- 1: it claims nothing more
    in_flight        INTEGER NOT NULL,
    queued           INTEGER NOT NULL,
    leased           INTEGER NOT NULL,
    workers          INTEGER NOT NULL,
    tripped_breakers INTEGER NOT NULL,
    rate_limited     INTEGER NOT NULL,
    last_claim       INTEGER, -- NULL: never
    store_time       INTEGER NOT NULL  -- microseconds that the heartbeat before took; 0 is unknown
) WITHOUT ROWID;
