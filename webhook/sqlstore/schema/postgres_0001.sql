CREATE TABLE {p}meta (
    one           integer PRIMARY KEY CHECK (one = 1),
    subscriptions bigint  NOT NULL -- raised by every change of a webhook
);
INSERT INTO {p}meta (one, subscriptions) VALUES (1, 0);

-- Ids of events and deliveries are handed out in spans of 64.
CREATE SEQUENCE {p}ids INCREMENT BY 64 START WITH 1;

CREATE TABLE {p}webhooks (
    id              text    PRIMARY KEY,
    organization_id text    NOT NULL,
    name            text    NOT NULL,
    event_types     text    NOT NULL, -- JSON
    channels        text    NOT NULL, -- JSON
    paused          integer NOT NULL,
    created_at      bigint  NOT NULL,
    updated_at      bigint  NOT NULL,
    revision        bigint  NOT NULL
);
CREATE INDEX {p}webhooks_listed ON {p}webhooks (organization_id, created_at, id, paused);

-- A channel that is removed and added again is a new endpoint. The deliveries of the
-- old one stay cancelled.
CREATE TABLE {p}endpoints (
    id              bigint  GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    organization_id text    NOT NULL,
    webhook_id      text    NOT NULL,
    channel         text    NOT NULL,
    state           integer NOT NULL, -- 0 active, 1 paused, 2 deleted
    pruned_at       bigint            -- when Prune first found it deleted
);
CREATE UNIQUE INDEX {p}endpoints_live ON {p}endpoints (webhook_id, channel) WHERE state < 2;
CREATE INDEX {p}endpoints_owner ON {p}endpoints (organization_id, webhook_id);

-- The event id comes first in the key, because ids grow with time. So new entries go to
-- the end of the index, whatever the number of organizations.
CREATE TABLE {p}events (
    id              bigint PRIMARY KEY,
    created_at      bigint NOT NULL,
    last_id         bigint NOT NULL, -- its last delivery; its own id if it has none any more
    organization_id text   NOT NULL,
    event_id        text   NOT NULL,
    type            text   NOT NULL,
    payload         bytea  NOT NULL
);
CREATE UNIQUE INDEX {p}events_key ON {p}events (event_id, organization_id);
CREATE INDEX {p}events_idle ON {p}events (created_at) WHERE last_id = id;

CREATE TABLE {p}deliveries (
    id          bigint  PRIMARY KEY,
    event_id    bigint  NOT NULL, -- events.id
    endpoint_id bigint  NOT NULL, -- endpoints.id
    at          bigint  NOT NULL, -- when it is due, its lease ends, or it was settled
    token       bigint  NOT NULL, -- raised by every claim
    state       integer NOT NULL, -- 0 pending, 1 in flight, 2 succeeded, 3 dead, 4 cancelled
    tries       integer NOT NULL DEFAULT 0, -- attempts since it was queued
    attempts    integer NOT NULL DEFAULT 0, -- attempts in the history
    queued_at   bigint,           -- when it was replayed; NULL counts from the event
    progress    bytea,
    history     text              -- one attempt a line, in JSON
);
CREATE INDEX {p}deliveries_queue ON {p}deliveries (endpoint_id, at, id) WHERE state < 2;
CREATE INDEX {p}deliveries_settled ON {p}deliveries (state, at) WHERE state >= 2;
CREATE INDEX {p}deliveries_dead ON {p}deliveries (endpoint_id) WHERE state = 3;

CREATE TABLE {p}blocks (
    endpoint_id bigint NOT NULL,
    block       bigint NOT NULL
);
CREATE INDEX {p}blocks_key ON {p}blocks (endpoint_id, block);

-- The figures of each hour. Processes that settle for one endpoint have rows of their
-- own, so that they do not wait for each other to commit.
CREATE TABLE {p}statistics (
    endpoint_id  bigint  NOT NULL,
    hour         bigint  NOT NULL, -- hours since 1970
    shard        integer NOT NULL,
    succeeded    bigint  NOT NULL, -- attempts
    failed       bigint  NOT NULL, -- attempts
    dead         bigint  NOT NULL, -- deliveries
    cancelled    bigint  NOT NULL, -- deliveries, by Cancel
    duration     bigint  NOT NULL, -- of all attempts, in microseconds
    last_success bigint  NOT NULL, -- when the attempt was started; 0 is never
    last_failure bigint  NOT NULL,
    last_failed  bigint  NOT NULL, -- deliveries.id of last_failure
    PRIMARY KEY (endpoint_id, hour, shard)
) WITH (fillfactor = 50); -- room for updates that leave the indexes alone
CREATE INDEX {p}statistics_hour ON {p}statistics (hour);

-- Idempotency keys.
CREATE TABLE {p}requests (
    id       bytea  PRIMARY KEY, -- a hash of its key
    digest   bytea  NOT NULL, -- of what it asks for
    began_at bigint NOT NULL,
    until    bigint NOT NULL, -- when the work on it ends at the latest
    answer   bytea            -- NULL before it is answered
);
CREATE INDEX {p}requests_began ON {p}requests (began_at);
