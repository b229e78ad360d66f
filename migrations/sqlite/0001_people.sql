-- People. `users` and `next_auth_users` share their id. Times here are RFC 3339 text in UTC, as sqlx binds them.
CREATE TABLE users (
  id BLOB PRIMARY KEY NOT NULL,
  email TEXT NOT NULL,
  password TEXT,                                   -- an argon2id string; it carries its own salt
  display_name TEXT NOT NULL DEFAULT '',
  username TEXT,
  is_google_authed BOOLEAN NOT NULL DEFAULT FALSE,
  connect_data TEXT NOT NULL DEFAULT '{}',
  auth_provider TEXT NOT NULL DEFAULT 'email',
  role TEXT NOT NULL DEFAULT 'EDITOR' CHECK (role IN ('SUPER-ADMIN', 'ADMIN', 'EDITOR', 'VIEWER')),
  first_name TEXT, last_name TEXT, phone TEXT, city TEXT,
  info TEXT NOT NULL DEFAULT '',
  image TEXT,
  system_flag TEXT NOT NULL DEFAULT 'AREA',
  created_at TEXT NOT NULL,
  updated_at TEXT NOT NULL
);
CREATE UNIQUE INDEX users_email ON users (lower(email));
CREATE UNIQUE INDEX users_username ON users (lower(username)) WHERE username IS NOT NULL;

-- The schema `next_auth` of PostgreSQL, under names with a prefix.
CREATE TABLE next_auth_users (
  id BLOB PRIMARY KEY NOT NULL,
  name TEXT,
  email TEXT UNIQUE,
  "emailVerified" TEXT,
  image TEXT
);
CREATE TABLE next_auth_sessions (
  id BLOB PRIMARY KEY NOT NULL,
  expires TEXT NOT NULL,
  "sessionToken" TEXT NOT NULL UNIQUE,
  "userId" BLOB REFERENCES next_auth_users (id) ON DELETE CASCADE
);
CREATE TABLE next_auth_accounts (
  id BLOB PRIMARY KEY NOT NULL,
  type TEXT NOT NULL,
  provider TEXT NOT NULL,
  "providerAccountId" TEXT NOT NULL,
  refresh_token TEXT, access_token TEXT,
  expires_at BIGINT,                               -- Unix seconds
  token_type TEXT, scope TEXT, id_token TEXT, session_state TEXT,
  oauth_token_secret TEXT, oauth_token TEXT,
  "userId" BLOB REFERENCES next_auth_users (id) ON DELETE CASCADE,
  UNIQUE (provider, "providerAccountId")
);
CREATE TABLE next_auth_verification_tokens (
  identifier TEXT,
  token TEXT PRIMARY KEY NOT NULL,
  expires TEXT NOT NULL,
  UNIQUE (token, identifier)
);

-- API tokens: shown once, stored as the SHA-256 of their 256 random bits.
CREATE TABLE api_tokens (
  id BLOB PRIMARY KEY NOT NULL,
  user_id BLOB NOT NULL REFERENCES users (id) ON DELETE CASCADE,
  name TEXT NOT NULL,
  hash BLOB NOT NULL UNIQUE,
  scopes TEXT NOT NULL DEFAULT 'read areas accounts admin',
  created_at TEXT NOT NULL,
  expires_at TEXT
);
CREATE INDEX api_tokens_user ON api_tokens (user_id);

-- Answers to POST requests that carried an Idempotency-Key.
CREATE TABLE idempotency_keys (
  user_id BLOB NOT NULL REFERENCES users (id) ON DELETE CASCADE,
  key TEXT NOT NULL,
  request TEXT NOT NULL,                           -- SHA-256 of method, path and body: the key belongs to that request
  status BIGINT NOT NULL,
  body TEXT NOT NULL,
  created_at BIGINT NOT NULL,                      -- UTC microseconds
  PRIMARY KEY (user_id, key)
);
CREATE INDEX idempotency_keys_created ON idempotency_keys (created_at);

-- Small facts of this installation: which samples were loaded, when it was restored.
CREATE TABLE meta (key TEXT PRIMARY KEY NOT NULL, value TEXT NOT NULL);
