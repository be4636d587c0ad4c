-- Which master key has wrapped it, by its name: what the KMS must still have. NULL is what was wrapped before that was written down.
ALTER TABLE tenant_keys ADD COLUMN master_key text;
ALTER TABLE signing_keys ADD COLUMN master_key text;
-- The command that made a version of its own: its repeat finds it. NULL for what was made at first use.
ALTER TABLE tenant_keys ADD COLUMN made_by uuid;
ALTER TABLE signing_keys ADD COLUMN made_by uuid UNIQUE;
CREATE UNIQUE INDEX tenant_keys_made_by ON tenant_keys (tenant_id, made_by) WHERE made_by IS NOT NULL;
-- Whose key is due for another one.
CREATE INDEX tenant_keys_age ON tenant_keys (created_at) WHERE wrapped IS NOT NULL;
