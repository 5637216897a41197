-- Which processes deliver: see processes.go. No index but that of the primary key, so that a heartbeat
-- leaves the indexes alone.
CREATE TABLE {p}processes (
    id               text COLLATE "C" NOT NULL PRIMARY KEY,
    name             text    NOT NULL,
    version          text    NOT NULL, -- of the library
    started_at       bigint  NOT NULL,
    heartbeat        bigint  NOT NULL, -- when it was last heard of
    stopping         integer NOT NULL, -- 1: it claims nothing more
    in_flight        bigint  NOT NULL,
    queued           bigint  NOT NULL,
    leased           bigint  NOT NULL,
    workers          bigint  NOT NULL,
    tripped_breakers bigint  NOT NULL,
    rate_limited     bigint  NOT NULL,
    last_claim       bigint, -- NULL: never
    store_time       bigint  NOT NULL  -- microseconds that the heartbeat before took; 0 is unknown
) WITH (fillfactor = 50); -- room for updates that leave the indexes alone
