-- Long pauses that providers asked for: who shares what one is about calls nobody there before it is over, on any node. Rows are added
-- and forgotten, never changed; the longest counts.
CREATE TABLE pauses (
  provider TEXT NOT NULL,
  api TEXT NOT NULL,
  account_id BLOB REFERENCES next_auth_accounts (id) ON DELETE CASCADE, -- whose alone it is; NULL: everybody's
  until_at BIGINT NOT NULL,                        -- UTC microseconds
  why TEXT NOT NULL                                -- in the provider's words
);
CREATE INDEX pauses_until ON pauses (until_at);
CREATE INDEX pauses_account ON pauses (account_id) WHERE account_id IS NOT NULL;
