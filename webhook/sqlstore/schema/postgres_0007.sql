-- Lists of deliveries go through an organization's endpoints in pages.
DROP INDEX {p}endpoints_owner;
CREATE INDEX {p}endpoints_owner ON {p}endpoints (organization_id, webhook_id, id);
-- Prune finds deleted endpoints, and ranges before the oldest delivery, a few at a time.
CREATE INDEX {p}endpoints_deleted ON {p}endpoints (pruned_at) WHERE state = 2;
CREATE INDEX {p}blocks_block ON {p}blocks (block);
