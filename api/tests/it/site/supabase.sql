-- The tables that Auth.js asks for in its Supabase adapter (nextauthjs/next-auth, docs/pages/getting-started/adapters/supabase.mdx),
-- without its roles: a site that was there before us.
CREATE EXTENSION IF NOT EXISTS "uuid-ossp";
CREATE SCHEMA next_auth;
CREATE TABLE next_auth.users (
  id uuid NOT NULL DEFAULT uuid_generate_v4(), name text, email text, "emailVerified" timestamptz, image text,
  CONSTRAINT users_pkey PRIMARY KEY (id), CONSTRAINT email_unique UNIQUE (email));
CREATE TABLE next_auth.sessions (
  id uuid NOT NULL DEFAULT uuid_generate_v4(), expires timestamptz NOT NULL, "sessionToken" text NOT NULL, "userId" uuid,
  CONSTRAINT sessions_pkey PRIMARY KEY (id), CONSTRAINT sessionToken_unique UNIQUE ("sessionToken"),
  CONSTRAINT "sessions_userId_fkey" FOREIGN KEY ("userId") REFERENCES next_auth.users (id) ON DELETE CASCADE);
CREATE TABLE next_auth.accounts (
  id uuid NOT NULL DEFAULT uuid_generate_v4(), type text NOT NULL, provider text NOT NULL, "providerAccountId" text NOT NULL,
  refresh_token text, access_token text, expires_at bigint, token_type text, scope text, id_token text, session_state text,
  oauth_token_secret text, oauth_token text, "userId" uuid,
  CONSTRAINT accounts_pkey PRIMARY KEY (id), CONSTRAINT provider_unique UNIQUE (provider, "providerAccountId"),
  CONSTRAINT "accounts_userId_fkey" FOREIGN KEY ("userId") REFERENCES next_auth.users (id) ON DELETE CASCADE);
CREATE TABLE next_auth.verification_tokens (
  identifier text, token text, expires timestamptz NOT NULL, CONSTRAINT verification_tokens_pkey PRIMARY KEY (token),
  CONSTRAINT token_unique UNIQUE (token), CONSTRAINT token_identifier_unique UNIQUE (token, identifier));
