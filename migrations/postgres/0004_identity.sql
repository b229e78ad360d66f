-- Identity: who is about to be a person, what a person says of themselves, their sessions, and what happened.

-- Suspended by an administrator: sessions and tokens stop, AREAs pause.
ALTER TABLE users ADD COLUMN suspended_at TIMESTAMPTZ;

-- Sign-ups whose address is not proved yet. Several may wait for one address: each link belongs to the password that was chosen with it.
CREATE TABLE pending_users (
  id UUID PRIMARY KEY NOT NULL,
  email TEXT NOT NULL,
  password TEXT NOT NULL,                          -- an argon2id string; it carries its own salt
  name TEXT NOT NULL DEFAULT '',
  info TEXT NOT NULL DEFAULT '',
  token BYTEA NOT NULL UNIQUE,                      -- the SHA-256 of the token in the mailed link
  tries BIGINT NOT NULL DEFAULT 0,                 -- passwords that did not fit
  expires_at TIMESTAMPTZ NOT NULL,
  created_at TIMESTAMPTZ NOT NULL,
  updated_at TIMESTAMPTZ NOT NULL
);
CREATE INDEX pending_users_email ON pending_users (email);

CREATE TABLE profile (
  user_id UUID PRIMARY KEY NOT NULL REFERENCES users (id) ON DELETE CASCADE,
  description TEXT NOT NULL DEFAULT '',
  created_at TIMESTAMPTZ NOT NULL,
  last_login TIMESTAMPTZ
);

CREATE TABLE avatars (
  id UUID PRIMARY KEY NOT NULL,
  user_id UUID NOT NULL REFERENCES users (id) ON DELETE CASCADE,
  is_active BOOLEAN NOT NULL DEFAULT FALSE,
  is_random BOOLEAN NOT NULL DEFAULT FALSE,        -- drawn here from its id
  media_type TEXT NOT NULL,
  body BYTEA NOT NULL,
  uploaded_at TIMESTAMPTZ NOT NULL
);
CREATE INDEX avatars_user ON avatars (user_id);
CREATE UNIQUE INDEX avatars_active ON avatars (user_id) WHERE is_active;

-- What is known of a session beside what Auth.js keeps; a session without such a row was written by an Auth.js site.
CREATE TABLE session_state (
  session_id UUID PRIMARY KEY NOT NULL REFERENCES next_auth.sessions (id) ON DELETE CASCADE,
  created_at TIMESTAMPTZ NOT NULL,
  seen_at TIMESTAMPTZ NOT NULL,
  agent TEXT NOT NULL DEFAULT '',
  address TEXT NOT NULL DEFAULT ''
);
CREATE INDEX IF NOT EXISTS sessions_user ON next_auth.sessions ("userId");

-- What mattered, for good: rows are added, never changed, and forgotten after a year at the earliest.
CREATE TABLE audit (
  id UUID PRIMARY KEY NOT NULL,                    -- ordered by time
  at BIGINT NOT NULL,                              -- UTC microseconds
  actor UUID,                                      -- who did it; NULL: nobody known, or the daemon
  subject UUID,                                    -- whom it concerns
  action TEXT NOT NULL,
  address TEXT NOT NULL DEFAULT '',                -- where it came from
  detail TEXT NOT NULL DEFAULT ''
);
CREATE INDEX audit_subject ON audit (subject, id);
CREATE INDEX audit_actor ON audit (actor, id);
CREATE FUNCTION audit_is_kept() RETURNS trigger LANGUAGE plpgsql AS $$
  BEGIN
    IF TG_OP = 'DELETE' AND OLD.at <= (EXTRACT(EPOCH FROM now())::BIGINT - 365 * 86400) * 1000000 THEN RETURN OLD; END IF;
    RAISE EXCEPTION 'the audit log is only added to, and keeps a year';
  END $$;
CREATE TRIGGER audit_kept BEFORE UPDATE OR DELETE ON audit FOR EACH ROW EXECUTE FUNCTION audit_is_kept();
CREATE TRIGGER audit_not_emptied BEFORE TRUNCATE ON audit FOR EACH STATEMENT EXECUTE FUNCTION audit_is_kept();

-- What a person who is gone left in the ledger: deleted in small steps.
CREATE TABLE leftovers (
  kind TEXT NOT NULL CHECK (kind IN ('events', 'runs')),
  no BIGINT NOT NULL,                              -- events: of this source; runs: of this AREA
  PRIMARY KEY (kind, no)
);
