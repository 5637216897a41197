-- Processes of the previous version must not change a webhook during the migration or
-- after it. Without meta, their statements fail.
LOCK TABLE {p}webhooks IN EXCLUSIVE MODE;

CREATE TABLE {p}organizations (
    organization_id text   PRIMARY KEY,
    version         bigint NOT NULL -- raised by every change of one of its webhooks
);
INSERT INTO {p}organizations (organization_id, version)
    SELECT organization_id, count(*) FROM {p}webhooks GROUP BY organization_id;

-- What routing an event needs of a webhook.
CREATE TABLE {p}routes (
    organization_id text    NOT NULL,
    webhook_id      text    NOT NULL,
    version         bigint  NOT NULL, -- of the organization, since the last change
    created_at      bigint  NOT NULL,
    revision        bigint  NOT NULL,
    paused          integer NOT NULL,
    deleted         integer NOT NULL, -- kept until the next changesKept changes
    event_types     text    NOT NULL, -- JSON
    endpoints       text    NOT NULL, -- JSON: the ids and keys of its channels
    PRIMARY KEY (organization_id, webhook_id)
);
INSERT INTO {p}routes
    SELECT organization_id, id, row_number() OVER (PARTITION BY organization_id ORDER BY created_at, id),
        created_at, revision, paused, 0, event_types,
        (SELECT coalesce(json_agg(json_build_object('id', p.id, 'channel', p.channel) ORDER BY p.id), '[]')::text
            FROM {p}endpoints p WHERE p.webhook_id = w.id AND p.state < 2)
    FROM {p}webhooks w;
CREATE UNIQUE INDEX {p}routes_version ON {p}routes (organization_id, version);
CREATE INDEX {p}routes_deleted ON {p}routes (organization_id, version) WHERE deleted = 1;

DROP TABLE {p}meta;
