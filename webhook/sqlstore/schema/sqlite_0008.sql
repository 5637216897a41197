-- The number of attempts since the delivery was queued has the name that it has elsewhere.
ALTER TABLE {p}deliveries RENAME COLUMN tries TO attempts_since_queued;
