-- What is claimed leaves the queue, as what is prefetched: see leases.go.
CREATE TABLE {p}leases_new (
    until    INTEGER NOT NULL,
    first_id INTEGER NOT NULL, -- of the deliveries
    last_id  INTEGER NOT NULL,
    token    INTEGER NOT NULL, -- of all of them
    PRIMARY KEY (until, first_id, token)
) WITHOUT ROWID;
INSERT INTO {p}leases_new SELECT until, first_id, last_id, 1 FROM {p}leases;
DROP TABLE {p}leases;
ALTER TABLE {p}leases_new RENAME TO {p}leases;
-- No delivery is claimed with the token of what is prefetched.
UPDATE {p}deliveries SET token = 1 WHERE due_at IS NOT NULL AND token = 0;
UPDATE {p}deliveries SET token = 1 WHERE turn = 1 AND due_at IS NULL AND token = 0;
