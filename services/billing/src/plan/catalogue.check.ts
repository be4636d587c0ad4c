import { Injectable } from '@nestjs/common';
import { planIds } from '@tenantry/contracts/plans';
import { Database } from '@tenantry/service/database';
import { ReadinessCheck } from '@tenantry/service/health';
import { currentPlans } from './plans.projection.js';

/** Ready when the shipped plans can be read: published, and projected by whichever replica does that. */
@Injectable()
export class CatalogueCheck extends ReadinessCheck {
  override readonly name = 'plan catalogue';
  private complete = false;
  constructor(private readonly database: Database) {
    super();
  }

  override async check(): Promise<void> {
    // Plans are never taken back, so it is asked until it is true once.
    if (this.complete) return;
    const known = new Set((await currentPlans(this.database)).map(({ id }) => id));
    const missing = planIds.filter((id) => !known.has(id));
    if (missing.length > 0) throw new Error(`not published yet: ${missing.join(', ')}`);
    this.complete = true;
  }
}
