-- What an operator sees and does of what stands still, and what a process remembers of how it died.

-- Null: only an operator has it tried again. `type` is the event's; `batch` or `rebuild` where no one event could be told.
ALTER TABLE :schema.parked
  ADD COLUMN id uuid NOT NULL DEFAULT gen_random_uuid(),
  ADD COLUMN type text NOT NULL DEFAULT '',
  ALTER COLUMN next_retry_at DROP NOT NULL;
CREATE UNIQUE INDEX parked_id ON :schema.parked (id);

ALTER TABLE :schema.effects ADD COLUMN parked_at timestamptz;
CREATE INDEX effects_parked ON :schema.effects (id) WHERE state = 'parked';
-- next_attempt_at of a done effect is when it was done.
CREATE INDEX effects_done ON :schema.effects (next_attempt_at) WHERE state = 'done';

ALTER TABLE :schema.timers
  ADD COLUMN id uuid NOT NULL DEFAULT gen_random_uuid(),
  ADD COLUMN parked_at timestamptz;
CREATE INDEX timers_parked ON :schema.timers (id) WHERE state = 'parked';
CREATE INDEX timers_over ON :schema.timers (next_attempt_at) WHERE state IN ('fired', 'cancelled');

-- Events that an operator has told a consumer to leave out, then and in every rebuild. By id: at the same position of a rewritten log there is another event.
CREATE TABLE :schema.skipped (
  consumer   text        NOT NULL,
  tenant_id  uuid        NOT NULL,
  event_id   uuid        NOT NULL,
  position   bigint      NOT NULL,
  reason     text        NOT NULL,
  skipped_by text        NOT NULL,
  skipped_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (consumer, tenant_id, event_id)
);

-- Processes that run; a row that is there when its owner starts says that it died.
CREATE TABLE :schema.runs (
  owner    text        PRIMARY KEY,
  begun_at timestamptz NOT NULL DEFAULT now()
);
-- What a process that has died before is about to apply: written before, removed after. What is there when its owner starts killed it, perhaps.
-- Where the first event is the last one, it is known which; `crashes` counts how often it was there then.
CREATE TABLE :schema.attempts (
  owner          text   NOT NULL,
  consumer       text   NOT NULL,
  tenant_id      uuid   NOT NULL,
  event_id       uuid   NOT NULL,
  type           text   NOT NULL,
  position       bigint NOT NULL,
  until_position bigint NOT NULL,
  crashes        int    NOT NULL DEFAULT 0,
  -- In the run that goes on, or that has ended.
  noted          boolean NOT NULL DEFAULT true,
  PRIMARY KEY (owner, consumer, tenant_id)
);

-- Rebuilds that an operator asked for, one row per tenant. next_attempt_at of a running one is the end of its lease.
CREATE TABLE :schema.rebuilds (
  operation_id    uuid        NOT NULL,
  consumer        text        NOT NULL,
  tenant_id       uuid        NOT NULL,
  state           text        NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'succeeded', 'failed')),
  attempts        int         NOT NULL DEFAULT 0,
  next_attempt_at timestamptz NOT NULL DEFAULT now(),
  events          bigint,
  duration_ms     int,
  error           text,
  PRIMARY KEY (operation_id, tenant_id)
);
CREATE INDEX rebuilds_open ON :schema.rebuilds (next_attempt_at) WHERE state = 'pending';
