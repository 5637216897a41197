-- Leases that ended without a result, in a row, and when an attempt began of
-- which there is no result yet: 0 if there is none such, and negative if it was
-- lost and is not in the history yet.
ALTER TABLE {p}deliveries ADD COLUMN lost integer NOT NULL DEFAULT 0;
ALTER TABLE {p}deliveries ADD COLUMN started_at bigint NOT NULL DEFAULT 0;
