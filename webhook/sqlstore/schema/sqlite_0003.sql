-- Deliveries of wide events that are not stored yet. A row is a range of ids that one transaction
-- turns into deliveries.
CREATE TABLE {p}fanouts (
    first_id  INTEGER PRIMARY KEY, -- of the deliveries
    last_id   INTEGER NOT NULL,
    event_id  INTEGER NOT NULL, -- events.id
    until     INTEGER NOT NULL, -- from then on, any claim goes on with it
    endpoints BLOB    NOT NULL  -- the ids of the endpoints: see fanout.go
);
CREATE INDEX {p}fanouts_until ON {p}fanouts (until);
