CREATE SEQUENCE {p}result_ids;

-- What became of deliveries: a row for each transaction that settled, replayed or cancelled some.
CREATE TABLE {p}results (
    id      bigint PRIMARY KEY,
    at      bigint NOT NULL, -- when they were stored
    entries bytea  NOT NULL  -- see results.go
);
