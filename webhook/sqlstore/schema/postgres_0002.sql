-- Within an endpoint, what was not attempted since it was queued comes first.
DROP INDEX {p}deliveries_queue;
CREATE INDEX {p}deliveries_queue ON {p}deliveries (endpoint_id, (CASE WHEN tries > 0 THEN 1 ELSE 0 END), at, id) WHERE state < 2;
