-- What was learned of a service while nothing was deployed. Learning adds a row and removes all but the newest two: a
-- watch is given the newest one that does not reach into the past that it is shown besides.

CREATE TABLE learned (
  service     TEXT    NOT NULL,
  environment TEXT    NOT NULL,
  until       INTEGER NOT NULL, -- it is of the time before
  updated_at  INTEGER NOT NULL, -- retention goes by it
  doc         TEXT    NOT NULL,
  PRIMARY KEY (service, environment, until)
) STRICT;
