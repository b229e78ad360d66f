-- What the owner of an account must be told by mail, once: written when it is known, gone when it is sent.
CREATE TABLE account_letters (
  account_id UUID NOT NULL REFERENCES account_state (account_id) ON DELETE CASCADE,
  kind TEXT NOT NULL CHECK (kind IN ('needs_reconnect', 'expires_soon')),
  at BIGINT NOT NULL,                              -- when it was lost, or when it ends: what the letter is about
  due_at BIGINT NOT NULL,                          -- when it is sent, or tried again
  tries BIGINT NOT NULL DEFAULT 0,
  node BIGINT,                                     -- the node that sends it now; NULL: nobody
  PRIMARY KEY (account_id, kind)
);
CREATE INDEX account_letters_due ON account_letters (due_at);
