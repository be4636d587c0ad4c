-- A key that could not be rotated is left alone for longer and longer, so that it doesn't keep the others from their turn.
ALTER TABLE tenant_keys ADD COLUMN rotation_failures integer NOT NULL DEFAULT 0;
ALTER TABLE tenant_keys ADD COLUMN rotate_after timestamptz;
