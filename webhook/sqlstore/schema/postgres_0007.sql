-- How large the backlog was: see backlog.go. samples has a row for each hour in which it was counted,
-- and backlogs one for each organization of which something was waiting then. Ages are microseconds.
CREATE TABLE {p}samples (
    hour          bigint  NOT NULL PRIMARY KEY, -- hours since 1970
    sampled_at    bigint  NOT NULL, -- the last time
    waiting       bigint  NOT NULL, -- deliveries of all organizations, the most in a round
    more          integer NOT NULL, -- 1: there may have been more
    oldest_age    bigint  NOT NULL, -- the longest that a delivery had been due
    whole         integer NOT NULL, -- 1: a round began and ended in this hour
    round_began   bigint  NOT NULL, -- the hour in which the last round began
    round_from    bigint  NOT NULL, -- the endpoint after which it goes on; 0 if it has ended
    round_waiting bigint  NOT NULL, -- what it has counted so far
    round_more    integer NOT NULL
);
CREATE TABLE {p}backlogs (
    organization bigint  NOT NULL, -- organizations.number
    hour         bigint  NOT NULL,
    waiting      bigint  NOT NULL,
    more         integer NOT NULL,
    oldest_age   bigint  NOT NULL,
    PRIMARY KEY (organization, hour)
);
CREATE INDEX {p}backlogs_hour ON {p}backlogs (hour);
