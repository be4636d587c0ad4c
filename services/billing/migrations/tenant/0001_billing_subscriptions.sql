-- The tenant's subscription as of its events.
CREATE TABLE billing_subscriptions (
  tenant_id uuid NOT NULL,
  status varchar(20) NOT NULL,
  plan_id varchar(63) NOT NULL,
  plan_version integer NOT NULL,
  -- Per month, in minor units of the currency.
  price_minor bigint NOT NULL,
  currency varchar(3) NOT NULL,
  timezone varchar(64) NOT NULL,
  opened_at timestamptz NOT NULL,
  -- Null without a trial.
  trial_ends_at timestamptz,
  -- Of the first period, and of the first paid one from the end of the trial on.
  period_start timestamptz NOT NULL,
  period_end timestamptz NOT NULL,
  PRIMARY KEY (tenant_id)
);
