-- The ids of an organization's endpoints stand together, so that a claim can pass
-- from one organization to the next. They are the organization's number and that of
-- the endpoint. Endpoints from before keep their ids, and have their turns together.
CREATE SEQUENCE {p}organization_numbers;
ALTER TABLE {p}organizations ADD COLUMN number bigint; -- of those that have had endpoints since
ALTER TABLE {p}organizations ADD COLUMN endpoints bigint NOT NULL DEFAULT 0; -- that there have been
CREATE UNIQUE INDEX {p}organizations_number ON {p}organizations (number);
ALTER TABLE {p}endpoints ALTER COLUMN id DROP IDENTITY;
