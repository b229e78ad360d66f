-- The vault. What it must know of a linked account beyond the columns of `next_auth.accounts`. Times are UTC microseconds since
-- 1970 (BIGINT, names end in `_at`).
CREATE TABLE account_state (
  account_id UUID PRIMARY KEY NOT NULL REFERENCES next_auth.accounts (id) ON DELETE CASCADE,
  provider TEXT NOT NULL,
  part BIGINT NOT NULL,                            -- the partition, 0 to 255: whose owner refreshes it ahead of time
  state TEXT NOT NULL DEFAULT 'ok' CHECK (state IN ('ok', 'needs_reconnect')),
  reason TEXT,                                     -- why it needs to be linked again
  who TEXT,                                        -- for people: the address or name at the provider
  version BIGINT NOT NULL DEFAULT 0,               -- grows with every new token: a refresh stores only over what it read
  signs_in BOOLEAN NOT NULL DEFAULT FALSE,         -- its owner chose to sign in with it; one that is merely linked signs nobody in
  linked_at BIGINT,                                -- NULL: an Auth.js site linked it
  refreshed_at BIGINT,
  refresh_at BIGINT,                               -- when it is refreshed next, ahead of time; NULL: not (no AREA uses it)
  ends_at BIGINT,                                  -- the known end of its life: nothing but linking it again helps then
  failures BIGINT NOT NULL DEFAULT 0,              -- refreshes in a row that came to nothing
  failing TEXT,                                    -- why the last one did
  not_before BIGINT,                               -- no further try before
  claim BIGINT NOT NULL DEFAULT 0,                 -- the number of the last claim
  claim_node BIGINT,                               -- the node that refreshes it now; NULL: nobody
  claimed_at BIGINT,
  in_doubt BOOLEAN NOT NULL DEFAULT FALSE,         -- a refresh began whose end nobody knows: the provider may have taken the old token
  lost_at BIGINT,                                  -- since when it needs to be linked again
  told_at BIGINT,                                  -- its owner was told so
  warned_at BIGINT                                 -- its owner was told that it ends soon
);
CREATE INDEX account_state_refresh ON account_state (provider, refresh_at) WHERE refresh_at IS NOT NULL;
CREATE INDEX account_state_lost ON account_state (account_id) WHERE state = 'needs_reconnect';
CREATE INDEX account_state_ends ON account_state (ends_at) WHERE ends_at IS NOT NULL AND warned_at IS NULL;

-- Which accounts an AREA watches and acts with. What is gone from `next_auth.accounts` stays here: the AREA still names it.
CREATE TABLE area_accounts (
  area_no BIGINT NOT NULL REFERENCES areas (no) ON DELETE CASCADE,
  account_id UUID NOT NULL,
  PRIMARY KEY (area_no, account_id)
);
CREATE INDEX area_accounts_account ON area_accounts (account_id);

-- Attempts to link an account or to sign in with one, from the redirect to the callback.
CREATE TABLE connect_sessions (
  id UUID PRIMARY KEY NOT NULL,
  user_id UUID REFERENCES users (id) ON DELETE CASCADE, -- NULL: a sign-in, nobody is signed in yet
  endpoint TEXT NOT NULL,                          -- the provider's page that the user was sent to
  data TEXT NOT NULL,                              -- JSON: hash of the state, sealed verifier, nonce, scopes, where to return; of a sign-in: its browser
  created_at BIGINT NOT NULL,
  expires_at BIGINT NOT NULL,
  used_at BIGINT                                   -- once, whatever came of it
);
CREATE INDEX connect_sessions_user ON connect_sessions (user_id);
CREATE INDEX connect_sessions_expires ON connect_sessions (expires_at);
