-- After until_ms, which is the end of the lease or of keep, a row counts as absent. Only a
-- claim can still be settled with its token.
CREATE TABLE IF NOT EXISTS {table} (
	claim_key TEXT     NOT NULL PRIMARY KEY,
	token     TEXT     NOT NULL,
	state     SMALLINT NOT NULL, -- 1 claimed, 2 done, 3 dead
	until_ms  BIGINT   NOT NULL, -- Unix milliseconds
	reason    TEXT     NOT NULL  -- why it is dead, else empty
);
CREATE INDEX IF NOT EXISTS {index}_until ON {table} (until_ms);
