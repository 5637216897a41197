-- Ids of events and deliveries are handed out in spans of 64.
CREATE SEQUENCE {p}ids INCREMENT BY 64 START WITH 1;
CREATE SEQUENCE {p}organization_numbers;

CREATE TABLE {p}webhooks (
    id              text    NOT NULL PRIMARY KEY,
    organization_id text    NOT NULL,
    name            text    NOT NULL,
    event_types     text    NOT NULL, -- JSON
    channels        text    NOT NULL, -- JSON
    paused          integer NOT NULL,
    created_at      bigint  NOT NULL,
    updated_at      bigint  NOT NULL,
    revision        bigint  NOT NULL,
    retry           text,             -- JSON; NULL leaves it to the Dispatcher
    rate_limit      text              -- JSON; NULL leaves it to its channels
);
CREATE INDEX {p}webhooks_listed ON {p}webhooks (organization_id, created_at, id, paused);

-- A channel that is removed and added again is a new endpoint. The deliveries of the
-- old one stay cancelled. An id is made of the organization's number and the endpoint's,
-- so that the ids of an organization are consecutive.
CREATE TABLE {p}endpoints (
    id              bigint  PRIMARY KEY,
    organization_id text    NOT NULL,
    webhook_id      text    NOT NULL,
    channel         text    NOT NULL,
    state           integer NOT NULL, -- 0 active, 1 paused or disabled, 2 deleted
    pruned_at       bigint,           -- when Prune first found it deleted
    health          integer NOT NULL DEFAULT 0, -- 0 healthy, 1 degraded, 2 disabled
    health_since    bigint,           -- NULL if it was always healthy
    health_revision bigint  NOT NULL DEFAULT 0, -- raised by every change of the five columns
    probe_at        bigint,           -- when the next probe may be made; NULL unless it is degraded
    wake_at         bigint,           -- when a claim looks at what is parked; NULL if nothing is: see park.go
    health_details  text,             -- JSON: see endpoints.go
    rate            text              -- JSON: a bucket.Bucket; NULL before its first permit
);
CREATE UNIQUE INDEX {p}endpoints_live ON {p}endpoints (webhook_id, channel) WHERE state < 2;
CREATE INDEX {p}endpoints_owner ON {p}endpoints (organization_id, webhook_id, id);
CREATE INDEX {p}endpoints_wake ON {p}endpoints (wake_at) WHERE wake_at IS NOT NULL;
CREATE INDEX {p}endpoints_deleted ON {p}endpoints (pruned_at) WHERE state = 2;
CREATE INDEX {p}endpoints_unhealthy ON {p}endpoints (organization_id, webhook_id, channel)
    WHERE health > 0;

CREATE TABLE {p}organizations (
    organization_id text    NOT NULL PRIMARY KEY,
    version         bigint  NOT NULL, -- raised by every change of one of its webhooks
    number          bigint,           -- NULL before it has endpoints
    endpoints       bigint  NOT NULL DEFAULT 0, -- how many there have been
    webhooks        bigint  NOT NULL DEFAULT 0, -- how many there are
    channels        bigint  NOT NULL DEFAULT 0  -- of all of them
);
CREATE UNIQUE INDEX {p}organizations_number ON {p}organizations (number);

-- What routing an event needs of a webhook.
CREATE TABLE {p}routes (
    organization_id text    NOT NULL,
    webhook_id      text    NOT NULL,
    version         bigint  NOT NULL, -- of the organization, since the last change
    created_at      bigint  NOT NULL,
    revision        bigint  NOT NULL,
    paused          integer NOT NULL,
    deleted         integer NOT NULL, -- kept for changesKept versions, and until the next one is deleted
    event_types     text    NOT NULL, -- JSON
    endpoints       text    NOT NULL, -- JSON: the ids and keys of its channels
    purged          bigint  NOT NULL DEFAULT 0, -- the highest version of a deleted row that was removed
        -- when this one was deleted
    PRIMARY KEY (organization_id, webhook_id)
);
CREATE UNIQUE INDEX {p}routes_version ON {p}routes (organization_id, version);
CREATE INDEX {p}routes_deleted ON {p}routes (organization_id, version) WHERE deleted = 1;

-- The event id comes first in the key, because ids grow with time. So new entries go to
-- the end of the index, whatever the number of organizations.
CREATE TABLE {p}events (
    id              bigint  PRIMARY KEY,
    organization_id text    NOT NULL,
    event_id        text    NOT NULL,
    type            text    NOT NULL,
    created_at      bigint  NOT NULL,
    last_id         bigint  NOT NULL, -- its last delivery; its own id if it has none any more
    trace           text,             -- JSON; NULL for none
    ttl             bigint,           -- the time to live in microseconds; NULL for none
    payload         bytea   NOT NULL
);
CREATE UNIQUE INDEX {p}events_key ON {p}events (event_id, organization_id);
CREATE INDEX {p}events_idle ON {p}events (created_at) WHERE last_id = id;

-- A delivery that is prefetched and succeeds is in none of the indexes but that of its id, from
-- beginning to end. No index has a column that its success changes, neither in its key nor in its
-- condition, so that the new version of the row can stand on the same page and needs no entries.
CREATE TABLE {p}deliveries (
    id          bigint  PRIMARY KEY,
    event_id    bigint  NOT NULL, -- events.id
    endpoint_id bigint  NOT NULL, -- endpoints.id
    token       bigint  NOT NULL, -- raised by every claim
    started_at  bigint  NOT NULL DEFAULT 0, -- when an attempt without a result began; 0 if there
        -- is none, negative if the attempt was lost and is not in the history yet
    state       integer NOT NULL, -- 0 pending, 1 in flight, 2 succeeded, 3 dead, 4 cancelled
    attempts_since_queued integer NOT NULL DEFAULT 0, -- of those that failed
    attempts    integer NOT NULL DEFAULT 0, -- attempts in the history
    lost        integer NOT NULL DEFAULT 0, -- consecutive leases that ended without a result
    due_at      bigint,           -- when it is due or its lease ends, while it is in the queue
    settled_at  bigint,           -- NULL before it is settled
    kept        integer,          -- NULL, or how Prune finds it: see keptOpen in prune.go
    kept_at     bigint,           -- when it was settled, if Prune finds it by that
    parked      smallint NOT NULL DEFAULT 0, -- 1 hides it from the walk of claims: see park.go
    queued_at   bigint,           -- when it was replayed; NULL counts from the event
    progress    bytea,
    history     text              -- one attempt a line, in JSON
) WITH (fillfactor = 35); -- room for the version of each row that has the first attempt
-- Within an endpoint, what was not attempted since it was queued comes first.
CREATE INDEX {p}deliveries_queue ON {p}deliveries (endpoint_id, ({attempted}), due_at, id)
    WHERE due_at IS NOT NULL;
-- By these claims go from endpoint to endpoint, and wake one, and lists from the newest delivery of
-- an endpoint to the oldest.
CREATE INDEX {p}deliveries_walk ON {p}deliveries (endpoint_id, id)
    WHERE due_at IS NOT NULL AND parked = 0;
CREATE INDEX {p}deliveries_parked ON {p}deliveries (endpoint_id, id)
    WHERE due_at IS NOT NULL AND parked = 1;
CREATE INDEX {p}deliveries_dead ON {p}deliveries (endpoint_id, id) WHERE kept = 3;
CREATE INDEX {p}deliveries_kept ON {p}deliveries (kept, kept_at) WHERE kept >= 2;

-- The leases of what was prefetched: a row for each range of ids that one Enqueue stored.
CREATE TABLE {p}leases (
    until    bigint  NOT NULL,
    first_id bigint  NOT NULL, -- of the deliveries
    last_id  bigint  NOT NULL,
    PRIMARY KEY (until, first_id)
);

CREATE TABLE {p}blocks (
    endpoint_id bigint  NOT NULL,
    block       bigint  NOT NULL
);
CREATE INDEX {p}blocks_key ON {p}blocks (endpoint_id, block);
CREATE INDEX {p}blocks_block ON {p}blocks (block);

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
    d0           bigint  NOT NULL DEFAULT 0, -- attempts by duration: see webhook.Durations
    d1           bigint  NOT NULL DEFAULT 0,
    d2           bigint  NOT NULL DEFAULT 0,
    d3           bigint  NOT NULL DEFAULT 0,
    d4           bigint  NOT NULL DEFAULT 0,
    d5           bigint  NOT NULL DEFAULT 0,
    d6           bigint  NOT NULL DEFAULT 0,
    d7           bigint  NOT NULL DEFAULT 0,
    d8           bigint  NOT NULL DEFAULT 0,
    d9           bigint  NOT NULL DEFAULT 0,
    d10          bigint  NOT NULL DEFAULT 0,
    PRIMARY KEY (endpoint_id, hour, shard)
) WITH (fillfactor = 50); -- room for updates that leave the indexes alone
CREATE INDEX {p}statistics_hour ON {p}statistics (hour);

-- Idempotency keys.
CREATE TABLE {p}requests (
    id       bytea   NOT NULL PRIMARY KEY, -- a hash of its key
    digest   bytea   NOT NULL, -- of what it asks for
    began_at bigint  NOT NULL,
    until    bigint  NOT NULL, -- when the work on it ends at the latest
    answer   bytea            -- NULL before it is answered
);
CREATE INDEX {p}requests_began ON {p}requests (began_at);

-- Replays of many deliveries.
CREATE TABLE {p}replays (
    organization_id text   NOT NULL,
    id              text   NOT NULL,
    created_at      bigint NOT NULL,
    until           bigint, -- when a process may go on with it; NULL once it has ended
    revision        bigint NOT NULL,
    details         text   NOT NULL, -- JSON
    PRIMARY KEY (organization_id, id)
);
CREATE INDEX {p}replays_until ON {p}replays (until) WHERE until IS NOT NULL;

-- API keys. The rows of an organization are bounded, those of keys that have ended included.
CREATE TABLE {p}api_keys (
    hash            bytea   NOT NULL PRIMARY KEY, -- SHA-256 of the API key
    id              text    NOT NULL,
    organization_id text    NOT NULL,
    name            text    NOT NULL,
    role            integer NOT NULL, -- 0 read, 1 operate, 2 administer
    may_reveal      integer NOT NULL,
    of_operator     integer NOT NULL,
    created_at      bigint  NOT NULL,
    created_by      text    NOT NULL,
    expires_at      bigint,           -- NULL is never
    revoked_at      bigint,           -- NULL is never
    revoked_by      text    NOT NULL,
    last_used_at    bigint            -- NULL is never
);
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
        timestamptz 'epoch' + e.created_at * interval '1 microsecond' AS created_at,
        timestamptz 'epoch' + d.due_at * interval '1 microsecond' AS due_at,
        timestamptz 'epoch' + d.settled_at * interval '1 microsecond' AS settled_at,
        timestamptz 'epoch' + (coalesce(d.queued_at, e.created_at) + e.ttl) * interval '1 microsecond'
            AS expires_at
    FROM {p}deliveries d
    JOIN {p}events e ON e.id = d.event_id
    JOIN {p}endpoints p ON p.id = d.endpoint_id;

CREATE VIEW {p}attempts_view AS
    SELECT d.id, 'dlv_' || d.id AS delivery_id, a.number,
        timestamptz 'epoch' + (a.line ->> 'at')::bigint * interval '1 microsecond' AS started_at,
        (a.line ->> 'us')::double precision / 1e3 AS duration_ms,
        (a.line ->> 'status')::int AS status_code,
        a.line ->> 'class' AS error_class, a.line ->> 'error' AS error,
        a.line ->> 'response' AS response
    FROM {p}deliveries d, LATERAL (
        SELECT l.line::json AS line, l.number
        FROM unnest(string_to_array(rtrim(d.history, chr(10)), chr(10)))
            WITH ORDINALITY AS l (line, number)) a;

CREATE VIEW {p}subscriptions_view AS
    SELECT w.id AS webhook_id, w.organization_id, w.name, w.event_types::json AS event_types,
        (SELECT coalesce(json_agg(p.channel ORDER BY p.id), '[]') FROM {p}endpoints p
            WHERE p.webhook_id = w.id AND p.state < 2) AS channels,
        w.paused = 1 AS paused, w.revision, w.retry::json AS retry,
        timestamptz 'epoch' + w.created_at * interval '1 microsecond' AS created_at,
        timestamptz 'epoch' + w.updated_at * interval '1 microsecond' AS updated_at,
        w.rate_limit::json AS rate_limit
    FROM {p}webhooks w;

CREATE VIEW {p}endpoints_view AS
    SELECT p.webhook_id, p.organization_id, p.channel,
        CASE p.health WHEN 0 THEN 'healthy' WHEN 1 THEN 'degraded' ELSE 'disabled' END AS health,
        timestamptz 'epoch' + p.health_since * interval '1 microsecond' AS since,
        timestamptz 'epoch' + (d.j ->> 'failing_since')::bigint * interval '1 microsecond'
            AS failing_since,
        coalesce((d.j ->> 'failed_probes')::int, 0) AS failed_probes,
        CASE WHEN p.probe_at > 0
            THEN timestamptz 'epoch' + p.probe_at * interval '1 microsecond' END AS next_probe,
        d.j ->> 'changed_by' AS changed_by,
        'dlv_' || (d.j -> 'cause' ->> 'delivery') AS delivery_id,
        (d.j -> 'cause' ->> 'status')::int AS status_code,
        d.j -> 'cause' ->> 'class' AS error_class, d.j -> 'cause' ->> 'error' AS error
    FROM {p}endpoints p, LATERAL (SELECT p.health_details::json AS j) d
    WHERE p.state < 2;
