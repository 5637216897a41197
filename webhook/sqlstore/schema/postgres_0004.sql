-- lost counts consecutive leases that ended without a result. started_at is when an
-- attempt without a result began: 0 if there is none, and negative if the attempt was
-- lost and is not in the history yet.
ALTER TABLE {p}deliveries ADD COLUMN lost integer NOT NULL DEFAULT 0;
ALTER TABLE {p}deliveries ADD COLUMN started_at bigint NOT NULL DEFAULT 0;
