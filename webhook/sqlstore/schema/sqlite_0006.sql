-- When ClaimExpired looks at an event again: see expired.go. NULL is when its time to live ends, and -1
-- never. Events without a time to live are not in the index.
ALTER TABLE {p}events ADD COLUMN expire_at INTEGER;
CREATE INDEX {p}events_expire ON {p}events ((coalesce(expire_at, created_at + ttl)))
    WHERE ttl IS NOT NULL AND coalesce(expire_at, 0) >= 0;
-- Dead deliveries that hold their line, for figures.
CREATE INDEX {p}deliveries_holding ON {p}deliveries (endpoint_id, kept_at) WHERE kept = 3 AND turn = 2;
