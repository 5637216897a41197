CREATE TABLE {p}meta (
    one           INTEGER PRIMARY KEY CHECK (one = 1),
    next_id       INTEGER NOT NULL, -- of events and deliveries
    subscriptions INTEGER NOT NULL  -- raised by every change of a webhook
);
INSERT INTO {p}meta (one, next_id, subscriptions) VALUES (1, 1, 0);

CREATE TABLE {p}webhooks (
    id              TEXT    NOT NULL PRIMARY KEY,
    organization_id TEXT    NOT NULL,
    name            TEXT    NOT NULL,
    event_types     TEXT    NOT NULL, -- JSON
    channels        TEXT    NOT NULL, -- JSON
    paused          INTEGER NOT NULL,
    created_at      INTEGER NOT NULL,
    updated_at      INTEGER NOT NULL,
    revision        INTEGER NOT NULL
);
CREATE INDEX {p}webhooks_listed ON {p}webhooks (organization_id, created_at, id, paused);

-- A channel that is removed and added again is a new endpoint. The deliveries of the
-- old one stay cancelled.
CREATE TABLE {p}endpoints (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    organization_id TEXT    NOT NULL,
    webhook_id      TEXT    NOT NULL,
    channel         TEXT    NOT NULL,
    state           INTEGER NOT NULL, -- 0 active, 1 paused, 2 deleted
    pruned_at       INTEGER           -- when Prune first found it deleted
);
CREATE UNIQUE INDEX {p}endpoints_live ON {p}endpoints (webhook_id, channel) WHERE state < 2;
CREATE INDEX {p}endpoints_owner ON {p}endpoints (organization_id, webhook_id);

-- The event id comes first in the key, because ids grow with time. So new entries go to
-- the end of the index, whatever the number of organizations.
CREATE TABLE {p}events (
    id              INTEGER PRIMARY KEY,
    organization_id TEXT    NOT NULL,
    event_id        TEXT    NOT NULL,
    type            TEXT    NOT NULL,
    created_at      INTEGER NOT NULL,
    last_id         INTEGER NOT NULL, -- its last delivery; its own id if it has none any more
    payload         BLOB    NOT NULL
);
CREATE UNIQUE INDEX {p}events_key ON {p}events (event_id, organization_id);
CREATE INDEX {p}events_idle ON {p}events (created_at) WHERE last_id = id;

CREATE TABLE {p}deliveries (
    id          INTEGER PRIMARY KEY,
    event_id    INTEGER NOT NULL, -- events.id
    endpoint_id INTEGER NOT NULL, -- endpoints.id
    state       INTEGER NOT NULL, -- 0 pending, 1 in flight, 2 succeeded, 3 dead, 4 cancelled
    at          INTEGER NOT NULL, -- when it is due, its lease ends, or it was settled
    token       INTEGER NOT NULL, -- raised by every claim
    tries       INTEGER NOT NULL DEFAULT 0, -- attempts since it was queued
    attempts    INTEGER NOT NULL DEFAULT 0, -- attempts in the history
    queued_at   INTEGER,          -- when it was replayed; NULL counts from the event
    progress    BLOB,
    history     TEXT              -- one attempt a line, in JSON
);
CREATE INDEX {p}deliveries_queue ON {p}deliveries (endpoint_id, at) WHERE state < 2;
CREATE INDEX {p}deliveries_settled ON {p}deliveries (state, at) WHERE state >= 2;
CREATE INDEX {p}deliveries_dead ON {p}deliveries (endpoint_id) WHERE state = 3;

CREATE TABLE {p}blocks (
    endpoint_id INTEGER NOT NULL,
    block       INTEGER NOT NULL,
    PRIMARY KEY (endpoint_id, block)
) WITHOUT ROWID;

-- What was recorded in each hour.
CREATE TABLE {p}statistics (
    endpoint_id  INTEGER NOT NULL,
    hour         INTEGER NOT NULL, -- hours since 1970
    shard        INTEGER NOT NULL, -- always 0: there is one writer at a time
    succeeded    INTEGER NOT NULL, -- attempts
    failed       INTEGER NOT NULL, -- attempts
    dead         INTEGER NOT NULL, -- deliveries
    cancelled    INTEGER NOT NULL, -- deliveries, by Cancel
    duration     INTEGER NOT NULL, -- of all attempts, in microseconds
    last_success INTEGER NOT NULL, -- when the attempt was started; 0 is never
    last_failure INTEGER NOT NULL,
    last_failed  INTEGER NOT NULL, -- deliveries.id of last_failure
    PRIMARY KEY (endpoint_id, hour, shard)
) WITHOUT ROWID;
CREATE INDEX {p}statistics_hour ON {p}statistics (hour);

-- Idempotency keys.
CREATE TABLE {p}requests (
    id       BLOB    NOT NULL PRIMARY KEY, -- a hash of its key
    digest   BLOB    NOT NULL, -- of what it asks for
    began_at INTEGER NOT NULL,
    until    INTEGER NOT NULL, -- when the work on it ends at the latest
    answer   BLOB              -- NULL before it is answered
) WITHOUT ROWID;
CREATE INDEX {p}requests_began ON {p}requests (began_at);
