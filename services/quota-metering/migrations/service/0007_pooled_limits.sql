-- Children of resellers: what they use counts in their reseller's row too, and where that one's plan pools its limits, the sum of both is bounded
-- by the reseller's limit. In triggers, so that no way to change a use can forget it.
ALTER TABLE quotas
  -- The reseller's, on rows of a child.
  ADD COLUMN parent_id uuid,
  -- On rows of a reseller: whether its limit bounds the sum of its own use and its children's.
  ADD COLUMN pools boolean NOT NULL DEFAULT false,
  -- On rows of a reseller: what its children use; of a counter in the reseller's period.
  ADD COLUMN pooled bigint NOT NULL DEFAULT 0 CHECK (pooled >= 0);

-- Raises QP001 where the pool has no room (DETAIL: its limit, use and the end of its period, as JSON) and QP002 where its period is over: the
-- caller then brings it up to date and asks again. Locks are always taken from the child to its reseller.
CREATE FUNCTION pool_use() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  pool quota_metering.quotas;
  change bigint := NEW.used - OLD.used;
BEGIN
  IF NEW.period_start IS DISTINCT FROM OLD.period_start THEN
    -- What was used before is of a period that is over.
    NEW.pooled := 0;
    change := NEW.used;
  END IF;
  IF NEW.pools AND change > 0 AND NEW.used + NEW.pooled::numeric > NEW.limit_value THEN
    RAISE EXCEPTION 'the pool is used up' USING ERRCODE = 'QP001',
      DETAIL = json_build_object('limit', NEW.limit_value, 'used', NEW.used - change + NEW.pooled, 'periodEnd', NEW.period_end);
  END IF;
  IF NEW.parent_id IS NULL OR change = 0 THEN
    RETURN NEW;
  END IF;
  SELECT * INTO pool FROM quota_metering.quotas q WHERE q.tenant_id = NEW.parent_id AND q.resource = NEW.resource FOR UPDATE;
  IF NOT FOUND THEN
    RETURN NEW;
  END IF;
  IF pool.period_end <= greatest(now(), NEW.period_start) THEN
    RAISE EXCEPTION 'the period of the pool is over' USING ERRCODE = 'QP002';
  END IF;
  IF pool.pools AND change > 0 AND pool.used + pool.pooled::numeric + change > pool.limit_value THEN
    RAISE EXCEPTION 'the pool is used up' USING ERRCODE = 'QP001',
      DETAIL = json_build_object('limit', pool.limit_value, 'used', pool.used + pool.pooled, 'periodEnd', pool.period_end);
  END IF;
  UPDATE quota_metering.quotas q SET pooled = greatest(0, q.pooled + change) WHERE q.tenant_id = NEW.parent_id AND q.resource = NEW.resource;
  RETURN NEW;
END $$;
CREATE TRIGGER pool_use BEFORE UPDATE OF used, period_start ON quotas FOR EACH ROW EXECUTE FUNCTION pool_use();

-- What a child held when it ended is free again; what it consumed in a period stays consumed.
CREATE FUNCTION leave_pool() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  UPDATE quota_metering.quotas q SET pooled = greatest(0, q.pooled - OLD.used)
  WHERE q.tenant_id = OLD.parent_id AND q.resource = OLD.resource AND q.period_end IS NULL;
  RETURN NULL;
END $$;
CREATE TRIGGER leave_pool AFTER DELETE ON quotas FOR EACH ROW
  WHEN (OLD.parent_id IS NOT NULL AND OLD.used > 0 AND OLD.kind <> 'counter') EXECUTE FUNCTION leave_pool();
