-- What the runner, the sweep, effects, timers and reservations keep, once per service.
-- `:schema` is the service's own schema.

-- One row per log that the service's projections and process managers have applied events of.
-- position and event_id are those of the last applied event; its type is one that the consumer handles.
CREATE TABLE :schema.checkpoints (
  consumer   text        NOT NULL,
  tenant_id  uuid        NOT NULL,
  version    text        NOT NULL,
  position   bigint      NOT NULL,
  event_id   uuid        NOT NULL,
  PRIMARY KEY (consumer, tenant_id)
);

-- How far each consumer has looked, written after its commits, in batches; the sweep joins it with the heads.
-- It may be behind the truth, and may be deleted: the checkpoints decide.
CREATE TABLE :schema.hints (
  consumer   text   NOT NULL,
  tenant_id  uuid   NOT NULL,
  version    text   NOT NULL,
  generation int    NOT NULL,
  position   bigint NOT NULL,
  PRIMARY KEY (consumer, tenant_id)
);

-- The effect outbox. id is derived from the event and the effect's name. `claims` fences: who has claimed
-- it last may record its outcome. `failures` counts what its handler threw: a crash of its process is none.
-- next_attempt_at of a running effect is the end of its lease, `owner` who holds it.
CREATE TABLE :schema.effects (
  id              uuid        PRIMARY KEY,
  tenant_id       uuid        NOT NULL,
  name            text        NOT NULL,
  payload         jsonb       NOT NULL,
  causation_id    uuid        NOT NULL,
  state           text        NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'running', 'done', 'parked')),
  claims          int         NOT NULL DEFAULT 0,
  failures        int         NOT NULL DEFAULT 0,
  owner           text,
  next_attempt_at timestamptz NOT NULL DEFAULT now(),
  lease_until     timestamptz,
  last_error      text,
  created_at      timestamptz NOT NULL DEFAULT now()
) WITH (fillfactor = 70);
CREATE INDEX effects_due ON :schema.effects (name, next_attempt_at) WHERE state IN ('pending', 'running');
CREATE INDEX effects_of_tenant ON :schema.effects (tenant_id);

-- Durable timers. next_attempt_at of a firing timer is the end of its lease.
CREATE TABLE :schema.timers (
  tenant_id       uuid        NOT NULL,
  purpose         text        NOT NULL,
  due_at          timestamptz NOT NULL,
  payload         jsonb       NOT NULL,
  state           text        NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'fired', 'cancelled', 'parked')),
  attempts        int         NOT NULL DEFAULT 0,
  next_attempt_at timestamptz NOT NULL,
  fired_at        timestamptz,
  last_error      text,
  PRIMARY KEY (tenant_id, purpose, due_at)
);
CREATE INDEX timers_due ON :schema.timers (next_attempt_at) WHERE state = 'pending';

-- Events that a handler could not take. The consumer of that tenant waits at the event; others go on.
CREATE TABLE :schema.parked (
  consumer      text        NOT NULL,
  tenant_id     uuid        NOT NULL,
  position      bigint      NOT NULL,
  event_id      uuid        NOT NULL,
  error         text        NOT NULL,
  attempts      int         NOT NULL,
  next_retry_at timestamptz NOT NULL,
  parked_at     timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (consumer, tenant_id)
);

-- Names that are unique over all tenants: reserved, claimed by an event, confirmed.
CREATE TABLE :schema.reservations (
  kind         text        NOT NULL,
  name         text        NOT NULL,
  tenant_id    uuid        NOT NULL,
  claim        text        NOT NULL,
  expires_at   timestamptz NOT NULL,
  confirmed_at timestamptz,
  PRIMARY KEY (kind, name)
);
CREATE INDEX reservations_expiring ON :schema.reservations (expires_at) WHERE confirmed_at IS NULL;
