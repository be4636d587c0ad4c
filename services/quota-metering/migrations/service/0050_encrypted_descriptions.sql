-- What people say about a use is personal: {"enc": …} under the tenant's key, as JSON text for lines from before.
ALTER TABLE usage_log ALTER COLUMN description TYPE jsonb USING to_jsonb(description);

-- As it was, for descriptions in that form.
DROP FUNCTION change_usage(uuid, text, text, text, bigint, text, timestamptz, date, timestamptz, timestamptz);
CREATE FUNCTION change_usage(
  p_tenant uuid, p_command text, p_request text, p_resource text, p_amount bigint, p_description jsonb,
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
