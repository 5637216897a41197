-- How far the readers of a webhook have read.
CREATE TABLE {p}positions (
    organization_id text   NOT NULL,
    webhook_id      text   NOT NULL,
    name            text   NOT NULL,
    reached         bigint NOT NULL, -- the id of the last delivery that was read
    updated_at      bigint NOT NULL,
    PRIMARY KEY (organization_id, webhook_id, name)
);
