-- Of a tenant that is being deleted, or was: why, as one of a few words, and whether it may be asked to come back. Filled by the projection,
-- which is rebuilt.
ALTER TABLE tenants
  ADD COLUMN feedback_category text,
  ADD COLUMN win_back boolean NOT NULL DEFAULT false;
