CREATE TABLE {p}organizations (
    organization_id TEXT    NOT NULL PRIMARY KEY,
    version         INTEGER NOT NULL -- raised by every change of one of its webhooks
) WITHOUT ROWID;
INSERT INTO {p}organizations (organization_id, version)
    SELECT organization_id, count(*) FROM {p}webhooks GROUP BY organization_id;

-- What routing an event needs of a webhook.
CREATE TABLE {p}routes (
    organization_id TEXT    NOT NULL,
    webhook_id      TEXT    NOT NULL,
    version         INTEGER NOT NULL, -- of the organization, since the last change
    created_at      INTEGER NOT NULL,
    revision        INTEGER NOT NULL,
    paused          INTEGER NOT NULL,
    deleted         INTEGER NOT NULL, -- kept until the next changesKept changes
    event_types     TEXT    NOT NULL, -- JSON
    endpoints       TEXT    NOT NULL, -- JSON: the ids and keys of its channels
    PRIMARY KEY (organization_id, webhook_id)
);
INSERT INTO {p}routes
    SELECT organization_id, id, row_number() OVER (PARTITION BY organization_id ORDER BY created_at, id),
        created_at, revision, paused, 0, event_types,
        (SELECT json_group_array(json_object('id', p.id, 'channel', p.channel))
            FROM (SELECT id, channel FROM {p}endpoints WHERE webhook_id = w.id AND state < 2 ORDER BY id) p)
    FROM {p}webhooks w;
CREATE UNIQUE INDEX {p}routes_version ON {p}routes (organization_id, version);
CREATE INDEX {p}routes_deleted ON {p}routes (organization_id, version) WHERE deleted = 1;

-- Processes of the previous version must not change a webhook any more. Without the
-- column, their statements fail.
ALTER TABLE {p}meta DROP COLUMN subscriptions;
