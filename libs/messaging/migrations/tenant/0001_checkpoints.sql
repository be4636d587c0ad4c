-- The runners' checkpoints: one row per service with projections in the tenant's schema.
-- position and event_id are those of the last applied event.
CREATE TABLE checkpoints (
  tenant_id uuid   NOT NULL,
  consumer  varchar(63) NOT NULL,
  version   varchar(64) NOT NULL,
  position  bigint NOT NULL,
  event_id  uuid   NOT NULL,
  PRIMARY KEY (tenant_id, consumer)
);
