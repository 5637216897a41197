-- How far the readers of a webhook have read.
CREATE TABLE {p}positions (
    organization_id TEXT    NOT NULL,
    webhook_id      TEXT    NOT NULL,
    name            TEXT    NOT NULL,
    reached         INTEGER NOT NULL, -- the id of the last delivery that was read
    updated_at      INTEGER NOT NULL,
    PRIMARY KEY (organization_id, webhook_id, name)
) WITHOUT ROWID;
