-- The token of all deliveries of a row: 1, because it is that of what is prefetched. SQLite leases what
-- is claimed by rows of this table, too.
ALTER TABLE {p}leases ADD COLUMN token bigint NOT NULL DEFAULT 1;
