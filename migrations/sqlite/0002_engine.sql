-- The engine. Times are UTC microseconds since 1970 (BIGINT, names end in `_at`); ids of sources, events and runs are ordered
-- 64-bit integers. The hot tables (events, runs) have as few columns and indexes as their questions need.
CREATE TABLE sources (
  id INTEGER PRIMARY KEY NOT NULL,
  user_id BLOB NOT NULL REFERENCES users (id) ON DELETE CASCADE,
  service TEXT NOT NULL,
  feed TEXT NOT NULL,
  account_id BLOB,
  identity BLOB NOT NULL UNIQUE,                   -- keyed hash of user, service, feed, account and canonical feed params
  part BIGINT NOT NULL,                            -- the partition, 0 to 255
  params TEXT NOT NULL,                            -- feed params, defaults filled in, secrets sealed
  every_us BIGINT,                                 -- the smallest interval asked for; NULL: nobody watches
  cursor TEXT,
  version BIGINT NOT NULL DEFAULT 0,               -- grows with every move of the cursor
  health TEXT,                                     -- JSON: the fault that stands, since when; NULL: well
  created_at BIGINT NOT NULL
);
CREATE INDEX sources_watched ON sources (part, id) WHERE every_us IS NOT NULL;

CREATE TABLE areas (
  no INTEGER PRIMARY KEY NOT NULL,                 -- what the ledger's rows refer to; never shown
  id BLOB NOT NULL UNIQUE,
  user_id BLOB NOT NULL REFERENCES users (id) ON DELETE CASCADE,
  name TEXT NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('active', 'paused', 'faulted')),  -- paused: by its user; faulted: by a fault
  reason TEXT,                                     -- why it is not active
  revision BIGINT NOT NULL,
  version BIGINT NOT NULL,                         -- grows with every change of the row that a user can see: the ETag
  body TEXT NOT NULL,                              -- the AREA as JSON, secrets sealed
  source_id BIGINT NOT NULL REFERENCES sources (id),
  every_us BIGINT,
  joined_at BIGINT,                                -- when its baseline began; NULL: not yet
  has_joined BOOLEAN NOT NULL DEFAULT FALSE,       -- it joined what it watches now, once at least
  mark BIGINT,                                     -- faulted: the last event that was decided for it
  policy TEXT,                                     -- the policies' state, JSON
  failures BIGINT NOT NULL DEFAULT 0,              -- failed runs in a row
  failing_at BIGINT,                               -- since when
  silent_at BIGINT,                                -- when `silence` is raised next; NULL: not asked for
  applied BOOLEAN NOT NULL DEFAULT FALSE,          -- made by `area apply`
  created_at BIGINT NOT NULL,
  updated_at BIGINT NOT NULL
);
CREATE INDEX areas_user ON areas (user_id, no);
CREATE INDEX areas_source ON areas (source_id);
CREATE INDEX areas_joining ON areas (source_id) WHERE joined_at IS NULL;
CREATE INDEX areas_marked ON areas (source_id) WHERE mark IS NOT NULL;
CREATE INDEX areas_failing ON areas (no) WHERE failures > 0;
CREATE INDEX areas_silent ON areas (silent_at) WHERE silent_at IS NOT NULL;

CREATE TABLE area_revisions (
  area_no BIGINT NOT NULL REFERENCES areas (no) ON DELETE CASCADE,
  revision BIGINT NOT NULL,
  body TEXT NOT NULL,
  created_at BIGINT NOT NULL,
  PRIMARY KEY (area_no, revision)
) WITHOUT ROWID;

CREATE TABLE events (
  id INTEGER PRIMARY KEY NOT NULL,
  source_id BIGINT NOT NULL,
  key TEXT NOT NULL,
  body TEXT NOT NULL,
  at BIGINT,                                       -- by the provider's account
  undecided BIGINT,                                -- the partition whose owner has yet to decide; NULL: decided
  mark BIGINT,                                     -- undecided: the last area_no that was decided
  only_area BIGINT,                                -- meant for one AREA (area.run, test, backfill), else NULL
  depth BIGINT                                     -- how many AREAs stand before it in the chain of causes; NULL: none
);
CREATE UNIQUE INDEX events_key ON events (source_id, key);
CREATE INDEX events_source ON events (source_id, id);
CREATE INDEX events_undecided ON events (undecided, id) WHERE undecided IS NOT NULL;

CREATE TABLE runs (
  id INTEGER PRIMARY KEY NOT NULL,
  area_no BIGINT NOT NULL,
  event_id BIGINT NOT NULL,
  replay BIGINT NOT NULL DEFAULT 0,                -- 0: born of the event; else the number of this repetition
  revision BIGINT NOT NULL,
  part BIGINT NOT NULL,
  state TEXT NOT NULL,                             -- ready waiting held | done failed uncertain cancelled dropped
  reason TEXT,                                     -- which policy held or dropped it, what failed
  due_at BIGINT NOT NULL,
  ended_at BIGINT,                                 -- NULL: open
  detail TEXT                                      -- JSON: steps, their outputs and attempts
);
CREATE UNIQUE INDEX runs_event ON runs (area_no, event_id, replay);
CREATE INDEX runs_open ON runs (part, due_at, id) WHERE ended_at IS NULL;

-- Nodes and what they own. On SQLite there is one node and a file lock; the rows and the code are the same.
CREATE TABLE nodes (
  no INTEGER PRIMARY KEY NOT NULL,
  name TEXT NOT NULL UNIQUE,
  url TEXT,
  until_at BIGINT NOT NULL
);
CREATE TABLE leases (
  part INTEGER PRIMARY KEY NOT NULL,
  node BIGINT,                                     -- who owns it, as long as that node lives; NULL: nobody
  epoch BIGINT NOT NULL DEFAULT 0                  -- grows with every new owner
);
WITH RECURSIVE p(part) AS (SELECT 0 UNION ALL SELECT part + 1 FROM p WHERE part < 255) INSERT INTO leases (part) SELECT part FROM p;
