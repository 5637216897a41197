-- The column has the name that this number has elsewhere. Statements of the previous
-- version fail afterwards.
ALTER TABLE {p}deliveries RENAME COLUMN tries TO attempts_since_queued;
