-- The ids of an organization's endpoints stand together, so that a claim can pass
-- from one organization to the next. They are the organization's number and that of
-- the endpoint. Endpoints from before keep their ids, and have their turns together.
ALTER TABLE {p}organizations ADD COLUMN number INTEGER; -- of those that have had endpoints since
ALTER TABLE {p}organizations ADD COLUMN endpoints INTEGER NOT NULL DEFAULT 0; -- that there have been
CREATE UNIQUE INDEX {p}organizations_number ON {p}organizations (number);
