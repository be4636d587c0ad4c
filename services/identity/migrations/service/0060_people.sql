-- Whose a key is: keys of the same person have the same. Null in rows from before, until it is looked up in the log.
ALTER TABLE api_keys ADD COLUMN person text;
-- Whom the operator named as that person: {"enc": …}.
ALTER TABLE api_keys ADD COLUMN owner jsonb;
-- Other keys than probes may expire too.
ALTER TABLE api_keys ADD COLUMN probe boolean NOT NULL DEFAULT false;
UPDATE api_keys SET probe = true WHERE expires_at IS NOT NULL;
DROP INDEX api_keys_tenant;
CREATE INDEX api_keys_tenant ON api_keys (tenant_id, created_at) WHERE NOT probe;
DROP INDEX api_keys_expiry;
CREATE INDEX api_keys_probes ON api_keys (expires_at) WHERE probe;
