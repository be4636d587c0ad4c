-- When the tenant's rows left the shared tables last, written by the very switch: a campaign that was at work then takes the tenant along.
ALTER TABLE tenancy.placements ADD COLUMN left_shared_at timestamptz;
CREATE INDEX placements_left_shared ON tenancy.placements (left_shared_at) WHERE left_shared_at IS NOT NULL;
