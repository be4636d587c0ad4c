import { shippedPlans } from '@tenantry/contracts/plans';
import type { PlatformEvent } from '@tenantry/contracts/platform/events';
import { fold } from '@tenantry/event-store/aggregate';
import { describe, expect, it } from 'vitest';
import { plan, publish } from './plan.js';

const given = (...events: PlatformEvent[]) => fold(plan, events as never);
const published = (planVersion: number): PlatformEvent => ({
  type: 'PlanPublished',
  data: { ...shippedPlans.business, planId: 'business', planVersion },
});

describe('publishing a plan', () => {
  it('records its terms with id and version', () => {
    expect(publish('business', 1, shippedPlans.business)(given())).toEqual([published(1)]);
  });
  it('does nothing for a version that is there, or an older one', () => {
    expect(publish('business', 1, shippedPlans.business)(given(published(1)))).toEqual([]);
    expect(publish('business', 1, shippedPlans.business)(given(published(1), published(2)))).toEqual([]);
  });
  it('takes the next version', () => {
    expect(publish('business', 2, { ...shippedPlans.business, priceMinor: 89_900 })(given(published(1)))).toMatchObject([
      { type: 'PlanPublished', data: { planVersion: 2, priceMinor: 89_900 } },
    ]);
  });
  it('refuses to leave a version out', () => {
    expect(() => publish('business', 3, shippedPlans.business)(given(published(1)))).toThrow(
      expect.objectContaining({ code: 'log.conflict' }),
    );
  });
});
