-- For the quotas: how many webhooks an organization has, and channels of all of them.
ALTER TABLE {p}organizations ADD COLUMN webhooks bigint NOT NULL DEFAULT 0;
ALTER TABLE {p}organizations ADD COLUMN channels bigint NOT NULL DEFAULT 0;
UPDATE {p}organizations SET
    webhooks = (SELECT count(*) FROM {p}webhooks w WHERE w.organization_id = {p}organizations.organization_id),
    channels = (SELECT count(*) FROM {p}endpoints e WHERE e.organization_id = {p}organizations.organization_id AND e.state < 2);
