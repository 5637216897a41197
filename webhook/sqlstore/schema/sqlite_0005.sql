-- Deliveries in order: see lines.go. line is that of the subject, NULL if the delivery never stood in
-- one. turn is 1 while it waits for its turn, and 2 while it has it. skip_at is when the line goes on
-- without it, if it is dead.
ALTER TABLE {p}deliveries ADD COLUMN line INTEGER;
ALTER TABLE {p}deliveries ADD COLUMN turn INTEGER NOT NULL DEFAULT 0;
ALTER TABLE {p}deliveries ADD COLUMN skip_at INTEGER;
CREATE INDEX {p}deliveries_line ON {p}deliveries (endpoint_id, line, turn, id) WHERE turn > 0;
-- What waits in line, for lists and figures.
CREATE INDEX {p}deliveries_waiting ON {p}deliveries (endpoint_id)
    WHERE turn = 1 AND due_at IS NULL;
-- JSON; NULL is any order.
ALTER TABLE {p}webhooks ADD COLUMN ordering TEXT;
-- The lines of the deliveries; NULL if they stand in none.
ALTER TABLE {p}fanouts ADD COLUMN lines BLOB;
