-- Deliveries of wide events that are not stored yet. A row is a range of ids that one transaction
-- turns into deliveries.
CREATE TABLE {p}fanouts (
    first_id  bigint  PRIMARY KEY, -- of the deliveries
    last_id   bigint  NOT NULL,
    event_id  bigint  NOT NULL, -- events.id
    until     bigint  NOT NULL, -- from then on, any claim goes on with it
    endpoints bytea   NOT NULL  -- the ids of the endpoints: see fanout.go
);
CREATE INDEX {p}fanouts_until ON {p}fanouts (until);
