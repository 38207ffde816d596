-- Times are nanoseconds since 1970, UTC. "doc" is the whole record as JSON; the other columns are what is searched for.

CREATE TABLE deployments (
  id          TEXT    PRIMARY KEY,
  service     TEXT    NOT NULL,
  environment TEXT    NOT NULL,
  state       TEXT    NOT NULL,
  active      INTEGER NOT NULL, -- 1 until the state is final
  created_at  INTEGER NOT NULL,
  ended_at    INTEGER NOT NULL, -- 0 while active
  doc         TEXT    NOT NULL
) STRICT;
CREATE INDEX deployments_by_age     ON deployments (created_at, id);
CREATE INDEX deployments_by_service ON deployments (service, environment, created_at, id);
CREATE INDEX deployments_active     ON deployments (created_at, id) WHERE active = 1;

CREATE TABLE rollbacks (
  id          TEXT    PRIMARY KEY,
  service     TEXT    NOT NULL,
  environment TEXT    NOT NULL,
  state       TEXT    NOT NULL,
  active      INTEGER NOT NULL,
  started_at  INTEGER NOT NULL,
  ended_at    INTEGER NOT NULL,
  doc         TEXT    NOT NULL
) STRICT;
CREATE INDEX rollbacks_by_age     ON rollbacks (started_at, id);
CREATE INDEX rollbacks_by_service ON rollbacks (service, environment, started_at, id);
CREATE INDEX rollbacks_active     ON rollbacks (started_at, id) WHERE active = 1;

CREATE TABLE events (
  seq         INTEGER PRIMARY KEY AUTOINCREMENT, -- the total order of the timeline
  id          TEXT    NOT NULL UNIQUE,
  time        INTEGER NOT NULL,
  service     TEXT    NOT NULL,
  environment TEXT    NOT NULL,
  deployment  TEXT    NOT NULL,
  rollback    TEXT    NOT NULL,
  kind        TEXT    NOT NULL,
  doc         TEXT    NOT NULL
) STRICT;
CREATE INDEX events_by_deployment ON events (deployment, seq) WHERE deployment <> '';
CREATE INDEX events_by_rollback   ON events (rollback, seq)   WHERE rollback <> '';
CREATE INDEX events_by_service    ON events (service, environment, seq);
CREATE INDEX events_by_age        ON events (time);

-- The timeline is append-only. The one exception is retention, which opens this door for the length of its own
-- transaction: events before "events_before" may go.
CREATE TABLE retention (
  one           INTEGER PRIMARY KEY CHECK (one = 1),
  events_before INTEGER NOT NULL
) STRICT;
INSERT INTO retention (one, events_before) VALUES (1, -9223372036854775808);

CREATE TRIGGER events_never_change BEFORE UPDATE ON events
BEGIN SELECT RAISE(ABORT, 'the timeline is append-only: an event cannot be changed'); END;

CREATE TRIGGER events_never_go BEFORE DELETE ON events
WHEN OLD.time >= (SELECT events_before FROM retention)
BEGIN SELECT RAISE(ABORT, 'the timeline is append-only: an event cannot be deleted'); END;

CREATE TABLE outbox (
  id           INTEGER PRIMARY KEY AUTOINCREMENT,
  event        INTEGER NOT NULL REFERENCES events (seq),
  channel      TEXT    NOT NULL,
  line         TEXT    NOT NULL, -- deliveries of one channel and line go out one after the other
  state        TEXT    NOT NULL CHECK (state IN ('pending', 'delivered', 'given_up')),
  attempts     INTEGER NOT NULL, -- made so far
  next_attempt INTEGER NOT NULL,
  created_at   INTEGER NOT NULL, -- the time of the event
  ended_at     INTEGER NOT NULL,
  error        TEXT    NOT NULL,
  UNIQUE (event, channel)
) STRICT;
CREATE INDEX outbox_lines  ON outbox (channel, line, id) WHERE state = 'pending';
CREATE INDEX outbox_by_age ON outbox (created_at);

-- The newest row of a service and environment is what is stable now; the older ones are its history.
CREATE TABLE stable_releases (
  seq         INTEGER PRIMARY KEY AUTOINCREMENT,
  service     TEXT    NOT NULL,
  environment TEXT    NOT NULL,
  deployment  TEXT    NOT NULL,
  since       INTEGER NOT NULL,
  doc         TEXT    NOT NULL
) STRICT;
CREATE INDEX stable_releases_by_service ON stable_releases (service, environment, seq);

CREATE TABLE quarantines (
  service     TEXT    NOT NULL,
  environment TEXT    NOT NULL,
  key         TEXT    NOT NULL,
  rollback    TEXT    NOT NULL,
  since       INTEGER NOT NULL,
  doc         TEXT    NOT NULL,
  PRIMARY KEY (service, environment, key)
) STRICT;

-- The evidence stream: the newest ticks one a row, older ones packed into compressed blocks.
CREATE TABLE ticks (
  deployment TEXT NOT NULL REFERENCES deployments (id) ON DELETE CASCADE,
  t          REAL NOT NULL,
  doc        BLOB NOT NULL,
  PRIMARY KEY (deployment, t)
) STRICT, WITHOUT ROWID;

CREATE TABLE tick_blocks (
  deployment TEXT    NOT NULL REFERENCES deployments (id) ON DELETE CASCADE,
  last_t     REAL    NOT NULL,
  first_t    REAL    NOT NULL,
  n          INTEGER NOT NULL,
  doc        BLOB    NOT NULL, -- gzip of JSON lines
  PRIMARY KEY (deployment, last_t)
) STRICT;
