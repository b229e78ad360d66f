-- People. `users` and `next_auth.users` share their id.
CREATE TABLE users (
  id UUID PRIMARY KEY NOT NULL,
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
  created_at TIMESTAMPTZ NOT NULL,
  updated_at TIMESTAMPTZ NOT NULL
);
CREATE UNIQUE INDEX users_email ON users (lower(email));
CREATE UNIQUE INDEX users_username ON users (lower(username)) WHERE username IS NOT NULL;

-- The schema that Auth.js adapters write to, named as they name it. A site that shares the database may have made it first.
CREATE SCHEMA IF NOT EXISTS next_auth;
CREATE TABLE IF NOT EXISTS next_auth.users (
  id UUID NOT NULL DEFAULT gen_random_uuid(), name TEXT, email TEXT, "emailVerified" TIMESTAMPTZ, image TEXT,
  CONSTRAINT users_pkey PRIMARY KEY (id), CONSTRAINT email_unique UNIQUE (email));
CREATE TABLE IF NOT EXISTS next_auth.sessions (
  id UUID NOT NULL DEFAULT gen_random_uuid(), expires TIMESTAMPTZ NOT NULL, "sessionToken" TEXT NOT NULL, "userId" UUID,
  CONSTRAINT sessions_pkey PRIMARY KEY (id), CONSTRAINT sessionToken_unique UNIQUE ("sessionToken"),
  CONSTRAINT "sessions_userId_fkey" FOREIGN KEY ("userId") REFERENCES next_auth.users (id) ON DELETE CASCADE);
CREATE TABLE IF NOT EXISTS next_auth.accounts (
  id UUID NOT NULL DEFAULT gen_random_uuid(), type TEXT NOT NULL, provider TEXT NOT NULL, "providerAccountId" TEXT NOT NULL,
  refresh_token TEXT, access_token TEXT, expires_at BIGINT, token_type TEXT, scope TEXT, id_token TEXT, session_state TEXT,
  oauth_token_secret TEXT, oauth_token TEXT, "userId" UUID,
  CONSTRAINT accounts_pkey PRIMARY KEY (id), CONSTRAINT provider_unique UNIQUE (provider, "providerAccountId"),
  CONSTRAINT "accounts_userId_fkey" FOREIGN KEY ("userId") REFERENCES next_auth.users (id) ON DELETE CASCADE);
CREATE TABLE IF NOT EXISTS next_auth.verification_tokens (
  identifier TEXT, token TEXT, expires TIMESTAMPTZ NOT NULL, CONSTRAINT verification_tokens_pkey PRIMARY KEY (token),
  CONSTRAINT token_unique UNIQUE (token), CONSTRAINT token_identifier_unique UNIQUE (token, identifier));
-- The pg adapter names the table in the singular.
CREATE OR REPLACE VIEW next_auth.verification_token AS SELECT identifier, expires, token FROM next_auth.verification_tokens;
-- The names that our SQL says on both engines: simple views, so they can be written through.
CREATE VIEW next_auth_users AS SELECT * FROM next_auth.users;
CREATE VIEW next_auth_sessions AS SELECT * FROM next_auth.sessions;
CREATE VIEW next_auth_accounts AS SELECT * FROM next_auth.accounts;
CREATE VIEW next_auth_verification_tokens AS SELECT * FROM next_auth.verification_tokens;

-- API tokens: shown once, stored as the SHA-256 of their 256 random bits.
CREATE TABLE api_tokens (
  id UUID PRIMARY KEY NOT NULL,
  user_id UUID NOT NULL REFERENCES users (id) ON DELETE CASCADE,
  name TEXT NOT NULL,
  hash BYTEA NOT NULL UNIQUE,
  scopes TEXT NOT NULL DEFAULT 'read areas accounts admin',
  created_at TIMESTAMPTZ NOT NULL,
  expires_at TIMESTAMPTZ
);
CREATE INDEX api_tokens_user ON api_tokens (user_id);

-- Answers to POST requests that carried an Idempotency-Key.
CREATE TABLE idempotency_keys (
  user_id UUID NOT NULL REFERENCES users (id) ON DELETE CASCADE,
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
