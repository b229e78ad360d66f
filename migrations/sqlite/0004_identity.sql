-- Identity: who is about to be a person, what a person says of themselves, their sessions, and what happened.

-- Suspended by an administrator: sessions and tokens stop, AREAs pause.
ALTER TABLE users ADD COLUMN suspended_at TEXT;

-- Sign-ups whose address is not proved yet. Several may wait for one address: each link belongs to the password that was chosen with it.
CREATE TABLE pending_users (
  id BLOB PRIMARY KEY NOT NULL,
  email TEXT NOT NULL,
  password TEXT NOT NULL,                          -- an argon2id string; it carries its own salt
  name TEXT NOT NULL DEFAULT '',
  info TEXT NOT NULL DEFAULT '',
  token BLOB NOT NULL UNIQUE,                      -- the SHA-256 of the token in the mailed link
  tries BIGINT NOT NULL DEFAULT 0,                 -- passwords that did not fit
  expires_at TEXT NOT NULL,
  created_at TEXT NOT NULL,
  updated_at TEXT NOT NULL
);
CREATE INDEX pending_users_email ON pending_users (email);

CREATE TABLE profile (
  user_id BLOB PRIMARY KEY NOT NULL REFERENCES users (id) ON DELETE CASCADE,
  description TEXT NOT NULL DEFAULT '',
  created_at TEXT NOT NULL,
  last_login TEXT
);

CREATE TABLE avatars (
  id BLOB PRIMARY KEY NOT NULL,
  user_id BLOB NOT NULL REFERENCES users (id) ON DELETE CASCADE,
  is_active BOOLEAN NOT NULL DEFAULT FALSE,
  is_random BOOLEAN NOT NULL DEFAULT FALSE,        -- drawn here from its id
  media_type TEXT NOT NULL,
  body BLOB NOT NULL,
  uploaded_at TEXT NOT NULL
);
CREATE INDEX avatars_user ON avatars (user_id);
CREATE UNIQUE INDEX avatars_active ON avatars (user_id) WHERE is_active;

-- What is known of a session beside what Auth.js keeps; a session without such a row was written by an Auth.js site.
CREATE TABLE session_state (
  session_id BLOB PRIMARY KEY NOT NULL REFERENCES next_auth_sessions (id) ON DELETE CASCADE,
  created_at TEXT NOT NULL,
  seen_at TEXT NOT NULL,
  agent TEXT NOT NULL DEFAULT '',
  address TEXT NOT NULL DEFAULT ''
);
CREATE INDEX next_auth_sessions_user ON next_auth_sessions ("userId");

-- What mattered, for good: rows are added, never changed, and forgotten after a year at the earliest.
CREATE TABLE audit (
  id BLOB PRIMARY KEY NOT NULL,                    -- ordered by time
  at BIGINT NOT NULL,                              -- UTC microseconds
  actor BLOB,                                      -- who did it; NULL: nobody known, or the daemon
  subject BLOB,                                    -- whom it concerns
  action TEXT NOT NULL,
  address TEXT NOT NULL DEFAULT '',                -- where it came from
  detail TEXT NOT NULL DEFAULT ''
);
CREATE INDEX audit_subject ON audit (subject, id);
CREATE INDEX audit_actor ON audit (actor, id);
CREATE TRIGGER audit_unchanged BEFORE UPDATE ON audit
  BEGIN SELECT RAISE(ABORT, 'the audit log is only added to'); END;
CREATE TRIGGER audit_kept BEFORE DELETE ON audit WHEN OLD.at > (unixepoch() - 365 * 86400) * 1000000
  BEGIN SELECT RAISE(ABORT, 'the audit log keeps a year'); END;

-- What a person who is gone left in the ledger: deleted in small steps.
CREATE TABLE leftovers (
  kind TEXT NOT NULL CHECK (kind IN ('events', 'runs')),
  no BIGINT NOT NULL,                              -- events: of this source; runs: of this AREA
  PRIMARY KEY (kind, no)
) WITHOUT ROWID;
