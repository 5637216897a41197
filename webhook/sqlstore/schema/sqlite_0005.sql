-- The ids of an organization's endpoints are consecutive, so that a claim can pass from
-- one organization to the next. An id is made of the organization's number and the
-- endpoint's. Older endpoints keep their ids, and share one turn.
ALTER TABLE {p}organizations ADD COLUMN number INTEGER; -- NULL before it has endpoints
ALTER TABLE {p}organizations ADD COLUMN endpoints INTEGER NOT NULL DEFAULT 0; -- how many there have been
CREATE UNIQUE INDEX {p}organizations_number ON {p}organizations (number);
