-- First answers of requests that carried an Idempotency-Key: kept for a while, so that a repeat gets the same one, byte for byte.
-- What changed something is also known to the tenant's log, by the same command id, for ever.
CREATE TABLE idempotency (
  command_id uuid PRIMARY KEY,
  -- SHA-256 (hex) of the canonical request: the key with another request is refused.
  request_hash text NOT NULL,
  state text NOT NULL CHECK (state IN ('in_flight', 'done')),
  -- Who works on it, and until when others wait for that.
  holder uuid NOT NULL,
  lease_until timestamptz NOT NULL,
  status smallint,
  headers jsonb,
  -- Null for an answer that showed a secret. Sealed with the tenant's key where the answer is about a tenant.
  body text,
  sealed_for uuid,
  expires_at timestamptz NOT NULL
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.05);
CREATE INDEX idempotency_expires_at ON idempotency (expires_at);
