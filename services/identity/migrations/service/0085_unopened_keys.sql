-- Since when the master key that is said to have wrapped it doesn't open it: found when all are wrapped anew.
ALTER TABLE tenant_keys ADD COLUMN unopened_at timestamptz;
ALTER TABLE signing_keys ADD COLUMN unopened_at timestamptz;
