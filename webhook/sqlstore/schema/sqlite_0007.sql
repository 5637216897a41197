-- How large the backlog was: see backlog.go. samples has a row for each hour in which it was counted,
-- and backlogs one for each organization of which something was waiting then. Ages are microseconds.
CREATE TABLE {p}samples (
    hour          INTEGER NOT NULL PRIMARY KEY, -- hours since 1970
    sampled_at    INTEGER NOT NULL, -- the last time
    waiting       INTEGER NOT NULL, -- deliveries of all organizations, the most in a round
    more          INTEGER NOT NULL, -- 1: there may have been more
    oldest_age    INTEGER NOT NULL, -- the longest that a delivery had been due
    whole         INTEGER NOT NULL, -- 1: a round began and ended in this hour
    round_began   INTEGER NOT NULL, -- the hour in which the last round began
    round_from    INTEGER NOT NULL, -- the endpoint after which it goes on; 0 if it has ended
    round_waiting INTEGER NOT NULL, -- what it has counted so far
    round_more    INTEGER NOT NULL
);
CREATE TABLE {p}backlogs (
    organization INTEGER NOT NULL, -- organizations.number
    hour         INTEGER NOT NULL,
    waiting      INTEGER NOT NULL,
    more         INTEGER NOT NULL,
    oldest_age   INTEGER NOT NULL,
    PRIMARY KEY (organization, hour)
) WITHOUT ROWID;
CREATE INDEX {p}backlogs_hour ON {p}backlogs (hour);
