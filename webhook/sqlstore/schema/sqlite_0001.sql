CREATE TABLE {p}meta (
    one     INTEGER PRIMARY KEY CHECK (one = 1),
    next_id INTEGER NOT NULL -- of events and deliveries
);
INSERT INTO {p}meta (one, next_id) VALUES (1, 1);

CREATE TABLE {p}webhooks (
    id              TEXT    NOT NULL PRIMARY KEY,
    organization_id TEXT    NOT NULL,
    name            TEXT    NOT NULL,
    event_types     TEXT    NOT NULL, -- JSON
    channels        TEXT    NOT NULL, -- JSON
    paused          INTEGER NOT NULL,
    created_at      INTEGER NOT NULL,
    updated_at      INTEGER NOT NULL,
    revision        INTEGER NOT NULL,
    retry           TEXT,             -- JSON; NULL leaves it to the Dispatcher
    rate_limit      TEXT              -- JSON; NULL leaves it to its channels
);
CREATE INDEX {p}webhooks_listed ON {p}webhooks (organization_id, created_at, id, paused);

-- A channel that is removed and added again is a new endpoint. The deliveries of the
-- old one stay cancelled. An id is made of the organization's number and the endpoint's,
-- so that the ids of an organization are consecutive.
CREATE TABLE {p}endpoints (
    id              INTEGER PRIMARY KEY,
    organization_id TEXT    NOT NULL,
    webhook_id      TEXT    NOT NULL,
    channel         TEXT    NOT NULL,
    state           INTEGER NOT NULL, -- 0 active, 1 paused or disabled, 2 deleted
    pruned_at       INTEGER,          -- when Prune first found it deleted
    health          INTEGER NOT NULL DEFAULT 0, -- 0 healthy, 1 degraded, 2 disabled
    health_since    INTEGER,          -- NULL if it was always healthy
    health_revision INTEGER NOT NULL DEFAULT 0, -- raised by every change of the five columns
    probe_at        INTEGER,          -- when the next probe may be made; NULL unless it is degraded
    wake_at         INTEGER,          -- when a claim looks at what is parked; NULL if nothing is: see park.go
    health_details  TEXT,             -- JSON: see endpoints.go
    rate            TEXT              -- JSON: a bucket.Bucket; NULL before its first permit
);
CREATE UNIQUE INDEX {p}endpoints_live ON {p}endpoints (webhook_id, channel) WHERE state < 2;
CREATE INDEX {p}endpoints_owner ON {p}endpoints (organization_id, webhook_id);
CREATE INDEX {p}endpoints_wake ON {p}endpoints (wake_at) WHERE wake_at IS NOT NULL;
CREATE INDEX {p}endpoints_deleted ON {p}endpoints (pruned_at) WHERE state = 2;
CREATE INDEX {p}endpoints_unhealthy ON {p}endpoints (organization_id, webhook_id, channel)
    WHERE health > 0;

CREATE TABLE {p}organizations (
    organization_id TEXT    NOT NULL PRIMARY KEY,
    version         INTEGER NOT NULL, -- raised by every change of one of its webhooks
    number          INTEGER,          -- NULL before it has endpoints
    endpoints       INTEGER NOT NULL DEFAULT 0, -- how many there have been
    webhooks        INTEGER NOT NULL DEFAULT 0, -- how many there are
    channels        INTEGER NOT NULL DEFAULT 0  -- of all of them
) WITHOUT ROWID;
CREATE UNIQUE INDEX {p}organizations_number ON {p}organizations (number);

-- What routing an event needs of a webhook.
CREATE TABLE {p}routes (
    organization_id TEXT    NOT NULL,
    webhook_id      TEXT    NOT NULL,
    version         INTEGER NOT NULL, -- of the organization, since the last change
    created_at      INTEGER NOT NULL,
    revision        INTEGER NOT NULL,
    paused          INTEGER NOT NULL,
    deleted         INTEGER NOT NULL, -- kept for changesKept versions, and until the next one is deleted
    event_types     TEXT    NOT NULL, -- JSON
    endpoints       TEXT    NOT NULL, -- JSON: the ids and keys of its channels
    purged          INTEGER NOT NULL DEFAULT 0, -- the highest version of a deleted row that was removed
        -- when this one was deleted
    PRIMARY KEY (organization_id, webhook_id)
);
CREATE UNIQUE INDEX {p}routes_version ON {p}routes (organization_id, version);
CREATE INDEX {p}routes_deleted ON {p}routes (organization_id, version) WHERE deleted = 1;

-- The event id comes first in the key, because ids grow with time. So new entries go to
-- the end of the index, whatever the number of organizations.
CREATE TABLE {p}events (
    id              INTEGER PRIMARY KEY,
    organization_id TEXT    NOT NULL,
    event_id        TEXT    NOT NULL,
    type            TEXT    NOT NULL,
    created_at      INTEGER NOT NULL,
    last_id         INTEGER NOT NULL, -- its last delivery; its own id if it has none any more
    trace           TEXT,             -- JSON; NULL for none
    ttl             INTEGER,          -- the time to live in microseconds; NULL for none
    payload         BLOB    NOT NULL
);
CREATE UNIQUE INDEX {p}events_key ON {p}events (event_id, organization_id);
CREATE INDEX {p}events_idle ON {p}events (created_at) WHERE last_id = id;

-- A delivery that is prefetched and succeeds is in none of the indexes, from beginning to end.
CREATE TABLE {p}deliveries (
    id          INTEGER PRIMARY KEY,
    event_id    INTEGER NOT NULL, -- events.id
    endpoint_id INTEGER NOT NULL, -- endpoints.id
    state       INTEGER NOT NULL, -- 0 pending, 1 in flight, 2 succeeded, 3 dead, 4 cancelled
    token       INTEGER NOT NULL, -- raised by every claim
    attempts_since_queued INTEGER NOT NULL DEFAULT 0, -- of those that failed
    attempts    INTEGER NOT NULL DEFAULT 0, -- attempts in the history
    lost        INTEGER NOT NULL DEFAULT 0, -- consecutive leases that ended without a result
    started_at  INTEGER NOT NULL DEFAULT 0, -- when an attempt without a result began; 0 if there
        -- is none, negative if the attempt was lost and is not in the history yet
    due_at      INTEGER,          -- when it is due or its lease ends, while it is in the queue
    settled_at  INTEGER,          -- NULL before it is settled
    kept        INTEGER,          -- NULL, or how Prune finds it: see keptOpen in prune.go
    kept_at     INTEGER,          -- when it was settled, if Prune finds it by that
    parked      INTEGER NOT NULL DEFAULT 0, -- 1 hides it from the walk of claims: see park.go
    queued_at   INTEGER,          -- when it was replayed; NULL counts from the event
    progress    BLOB,
    history     TEXT              -- one attempt a line, in JSON
);
-- Within an endpoint, what was not attempted since it was queued comes first.
CREATE INDEX {p}deliveries_queue ON {p}deliveries (endpoint_id, ({attempted}), due_at, id)
    WHERE due_at IS NOT NULL;
-- By these claims go from endpoint to endpoint, and wake one, and lists from the newest delivery of
-- an endpoint to the oldest: a rowid ends each entry of an index.
CREATE INDEX {p}deliveries_walk ON {p}deliveries (endpoint_id)
    WHERE due_at IS NOT NULL AND parked = 0;
CREATE INDEX {p}deliveries_parked ON {p}deliveries (endpoint_id)
    WHERE due_at IS NOT NULL AND parked = 1;
CREATE INDEX {p}deliveries_dead ON {p}deliveries (endpoint_id) WHERE kept = 3;
CREATE INDEX {p}deliveries_kept ON {p}deliveries (kept, kept_at) WHERE kept >= 2;

-- The leases of what was prefetched: a row for each range of ids that one Enqueue stored.
CREATE TABLE {p}leases (
    until    INTEGER NOT NULL,
    first_id INTEGER NOT NULL, -- of the deliveries
    last_id  INTEGER NOT NULL,
    PRIMARY KEY (until, first_id)
) WITHOUT ROWID;

CREATE TABLE {p}blocks (
    endpoint_id INTEGER NOT NULL,
    block       INTEGER NOT NULL,
    PRIMARY KEY (endpoint_id, block)
) WITHOUT ROWID;
CREATE INDEX {p}blocks_block ON {p}blocks (block);

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
    d0           INTEGER NOT NULL DEFAULT 0, -- attempts by duration: see webhook.Durations
    d1           INTEGER NOT NULL DEFAULT 0,
    d2           INTEGER NOT NULL DEFAULT 0,
    d3           INTEGER NOT NULL DEFAULT 0,
    d4           INTEGER NOT NULL DEFAULT 0,
    d5           INTEGER NOT NULL DEFAULT 0,
    d6           INTEGER NOT NULL DEFAULT 0,
    d7           INTEGER NOT NULL DEFAULT 0,
    d8           INTEGER NOT NULL DEFAULT 0,
    d9           INTEGER NOT NULL DEFAULT 0,
    d10          INTEGER NOT NULL DEFAULT 0,
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

-- Replays of many deliveries.
CREATE TABLE {p}replays (
    organization_id TEXT    NOT NULL,
    id              TEXT    NOT NULL,
    created_at      INTEGER NOT NULL,
    until           INTEGER, -- when a process may go on with it; NULL once it has ended
    revision        INTEGER NOT NULL,
    details         TEXT    NOT NULL, -- JSON
    PRIMARY KEY (organization_id, id)
) WITHOUT ROWID;
CREATE INDEX {p}replays_until ON {p}replays (until) WHERE until IS NOT NULL;

-- API keys. The rows of an organization are bounded, those of keys that have ended included.
CREATE TABLE {p}api_keys (
    hash            BLOB    NOT NULL PRIMARY KEY, -- SHA-256 of the API key
    id              TEXT    NOT NULL,
    organization_id TEXT    NOT NULL,
    name            TEXT    NOT NULL,
    role            INTEGER NOT NULL, -- 0 read, 1 operate, 2 administer
    may_reveal      INTEGER NOT NULL,
    of_operator     INTEGER NOT NULL,
    created_at      INTEGER NOT NULL,
    created_by      TEXT    NOT NULL,
    expires_at      INTEGER,          -- NULL is never
    revoked_at      INTEGER,          -- NULL is never
    revoked_by      TEXT    NOT NULL,
    last_used_at    INTEGER           -- NULL is never
) WITHOUT ROWID;
CREATE UNIQUE INDEX {p}api_keys_id ON {p}api_keys (id);
CREATE INDEX {p}api_keys_listed ON {p}api_keys (organization_id, created_at, id);

-- The views are for people: TABLES.md describes them. Their names and columns stay.
CREATE VIEW {p}deliveries_view AS
    SELECT d.id, 'dlv_' || d.id AS delivery_id, e.organization_id, e.event_id, e.type AS event_type,
        p.webhook_id, p.channel,
        CASE WHEN d.state = 2 THEN 'succeeded' WHEN d.state = 3 THEN 'dead'
            WHEN d.state = 4 OR p.state = 2 THEN 'cancelled' WHEN p.state = 1 THEN 'paused'
            WHEN d.state = 1 THEN 'in_flight' ELSE 'pending' END AS status,
        d.attempts,
        strftime('%Y-%m-%dT%H:%M:%fZ', e.created_at / 1e6, 'unixepoch') AS created_at,
        strftime('%Y-%m-%dT%H:%M:%fZ', d.due_at / 1e6, 'unixepoch') AS due_at,
        strftime('%Y-%m-%dT%H:%M:%fZ', d.settled_at / 1e6, 'unixepoch') AS settled_at,
        strftime('%Y-%m-%dT%H:%M:%fZ', (coalesce(d.queued_at, e.created_at) + e.ttl) / 1e6, 'unixepoch')
            AS expires_at
    FROM {p}deliveries d
    JOIN {p}events e ON e.id = d.event_id
    JOIN {p}endpoints p ON p.id = d.endpoint_id;

CREATE VIEW {p}attempts_view AS
    SELECT d.id, 'dlv_' || d.id AS delivery_id, a.key + 1 AS number,
        strftime('%Y-%m-%dT%H:%M:%fZ', json_extract(a.value, '$.at') / 1e6, 'unixepoch')
            AS started_at,
        json_extract(a.value, '$.us') / 1e3 AS duration_ms,
        json_extract(a.value, '$.status') AS status_code,
        json_extract(a.value, '$.class') AS error_class,
        json_extract(a.value, '$.error') AS error,
        json_extract(a.value, '$.response') AS response
    FROM {p}deliveries d
    JOIN json_each('[' || replace(rtrim(d.history, char(10)), char(10), ',') || ']') a;

CREATE VIEW {p}subscriptions_view AS
    SELECT w.id AS webhook_id, w.organization_id, w.name, w.event_types,
        (SELECT json_group_array(p.channel) FROM (SELECT channel FROM {p}endpoints
            WHERE webhook_id = w.id AND state < 2 ORDER BY id) p) AS channels,
        w.paused, w.revision, w.retry,
        strftime('%Y-%m-%dT%H:%M:%fZ', w.created_at / 1e6, 'unixepoch') AS created_at,
        strftime('%Y-%m-%dT%H:%M:%fZ', w.updated_at / 1e6, 'unixepoch') AS updated_at,
        w.rate_limit
    FROM {p}webhooks w;

CREATE VIEW {p}endpoints_view AS
    SELECT p.webhook_id, p.organization_id, p.channel,
        CASE p.health WHEN 0 THEN 'healthy' WHEN 1 THEN 'degraded' ELSE 'disabled' END AS health,
        strftime('%Y-%m-%dT%H:%M:%fZ', p.health_since / 1e6, 'unixepoch') AS since,
        strftime('%Y-%m-%dT%H:%M:%fZ', json_extract(p.health_details, '$.failing_since') / 1e6, 'unixepoch')
            AS failing_since,
        coalesce(json_extract(p.health_details, '$.failed_probes'), 0) AS failed_probes,
        CASE WHEN p.probe_at > 0 THEN strftime('%Y-%m-%dT%H:%M:%fZ', p.probe_at / 1e6, 'unixepoch') END
            AS next_probe,
        json_extract(p.health_details, '$.changed_by') AS changed_by,
        'dlv_' || json_extract(p.health_details, '$.cause.delivery') AS delivery_id,
        json_extract(p.health_details, '$.cause.status') AS status_code,
        json_extract(p.health_details, '$.cause.class') AS error_class,
        json_extract(p.health_details, '$.cause.error') AS error
    FROM {p}endpoints p WHERE p.state < 2;
