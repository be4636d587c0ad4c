-- The ledger: what tenants may use and what they have used. It is decided here, under a row lock, and never rebuilt from elsewhere.

CREATE TABLE tenants (
  tenant_id uuid PRIMARY KEY,
  -- Of the event that the row follows from: a late repeat of an older command changes nothing.
  position bigint NOT NULL,
  withdrawn boolean NOT NULL,
  timezone text,
  starts_at timestamptz,
  trial_ends_at timestamptz,
  retention_days integer,
  CHECK (withdrawn OR (timezone IS NOT NULL AND starts_at IS NOT NULL AND retention_days IS NOT NULL))
);

CREATE TABLE quotas (
  tenant_id uuid NOT NULL,
  resource text NOT NULL,
  kind text NOT NULL CHECK (kind IN ('gauge', 'counter', 'rate', 'concurrency')),
  unit text NOT NULL,
  -- Null is unlimited. May be below `used`: a limit can be lowered.
  limit_value bigint CHECK (limit_value >= 0),
  used bigint NOT NULL DEFAULT 0 CHECK (used >= 0),
  -- Null for what never starts again.
  period_start timestamptz,
  period_end timestamptz,
  PRIMARY KEY (tenant_id, resource),
  CHECK ((period_start IS NULL) = (period_end IS NULL) AND (period_start IS NULL) = (kind <> 'counter')),
  CHECK (period_start < period_end)
) WITH (fillfactor = 70);

CREATE TABLE usage_log (
  id bigint GENERATED ALWAYS AS IDENTITY,
  tenant_id uuid NOT NULL,
  resource text NOT NULL,
  -- Negative for a release.
  amount bigint NOT NULL,
  -- The day in the tenant's time zone.
  usage_date date NOT NULL,
  description text,
  command_id text NOT NULL,
  request_hash text NOT NULL,
  -- The first result, for repeats.
  used_after bigint NOT NULL,
  limit_after bigint,
  created_at timestamptz NOT NULL,
  PRIMARY KEY (tenant_id, id),
  UNIQUE (tenant_id, command_id)
);
CREATE INDEX usage_log_by_resource ON usage_log (tenant_id, resource, id);

-- Consumes (p_amount > 0) or gives back (p_amount < 0), all of it or nothing. The row lock makes concurrent calls take turns, so that the sum
-- never passes the limit; use and log line commit together.
-- outcome: changed | repeated | mismatch | exceeded | below_zero | not_releasable | too_large | unknown_resource | unassigned.
-- The period given is the one that holds p_now. It is taken where the stored one is over, and use starts again at 0.
CREATE FUNCTION change_usage(
  p_tenant uuid, p_command text, p_request text, p_resource text, p_amount bigint, p_description text,
  p_now timestamptz, p_date date, p_period_start timestamptz, p_period_end timestamptz,
  OUT outcome text, OUT now_used bigint, OUT now_limit bigint, OUT now_kind text, OUT now_period_end timestamptz
) LANGUAGE plpgsql AS $$
DECLARE
  quota quota_metering.quotas;
  earlier quota_metering.usage_log;
BEGIN
  SELECT * INTO quota FROM quota_metering.quotas q WHERE q.tenant_id = p_tenant AND q.resource = p_resource FOR UPDATE;
  IF NOT FOUND THEN
    outcome := CASE WHEN EXISTS (SELECT FROM quota_metering.tenants t WHERE t.tenant_id = p_tenant AND NOT t.withdrawn)
      THEN 'unknown_resource' ELSE 'unassigned' END;
    RETURN;
  END IF;
  IF quota.period_end <= p_now THEN
    quota.used := 0;
    quota.period_start := p_period_start;
    quota.period_end := p_period_end;
  END IF;
  now_used := quota.used;
  now_limit := quota.limit_value;
  now_kind := quota.kind;
  now_period_end := quota.period_end;

  -- Before anything is decided: a repeat gets the first result, even when it would be refused by now.
  SELECT * INTO earlier FROM quota_metering.usage_log l WHERE l.tenant_id = p_tenant AND l.command_id = p_command;
  IF NOT FOUND THEN
    outcome := CASE
      WHEN p_amount < 0 AND quota.kind NOT IN ('gauge', 'concurrency') THEN 'not_releasable'
      WHEN quota.used + p_amount::numeric < 0 THEN 'below_zero'
      WHEN p_amount > 0 AND quota.used + p_amount::numeric > quota.limit_value THEN 'exceeded'
      -- JSON numbers are exact up to 2^53 - 1.
      WHEN quota.used + p_amount::numeric > 9007199254740991 THEN 'too_large'
    END;
    IF outcome IS NOT NULL THEN
      RETURN;
    END IF;
    INSERT INTO quota_metering.usage_log
      (tenant_id, resource, amount, usage_date, description, command_id, request_hash, used_after, limit_after, created_at)
    VALUES (p_tenant, p_resource, p_amount, p_date, p_description, p_command, p_request, quota.used + p_amount, quota.limit_value, p_now)
    ON CONFLICT (tenant_id, command_id) DO NOTHING;
    IF FOUND THEN
      UPDATE quota_metering.quotas q
      SET used = quota.used + p_amount, period_start = quota.period_start, period_end = quota.period_end
      WHERE q.tenant_id = p_tenant AND q.resource = p_resource;
      outcome := 'changed';
      now_used := quota.used + p_amount;
      RETURN;
    END IF;
    -- The same id was used for another resource meanwhile: its row lock is another one.
    SELECT * INTO STRICT earlier FROM quota_metering.usage_log l WHERE l.tenant_id = p_tenant AND l.command_id = p_command;
  END IF;

  IF earlier.request_hash <> p_request OR earlier.resource <> p_resource OR earlier.amount <> p_amount THEN
    outcome := 'mismatch';
  ELSE
    outcome := 'repeated';
    now_used := earlier.used_after;
    now_limit := earlier.limit_after;
  END IF;
END $$;
