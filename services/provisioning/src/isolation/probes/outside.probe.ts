import { Injectable } from '@nestjs/common';
import type { Attempt } from '@tenantry/contracts/platform/isolation';
import { notApplicable } from '../attempt.js';
import { Probe } from '../probe.js';

const missing = [
  ['search', 'indexes', 'There is no search beside the list of tenants, which only the platform reads'],
  ['edge', 'host names', 'No edge runs that would take visitors of several tenants by host name'],
  [
    'network',
    'network policies',
    'The processes of all tenants are the same; policies between them are the cluster’s, and tested with its manifests',
  ],
] as const;

/** Boundaries that are not there to be tried: said, so that nobody takes their absence for a success. */
@Injectable()
export class OutsideProbe extends Probe {
  async attempts(): Promise<Attempt[]> {
    return missing.map(([boundary, target, why]) => ({ boundary, target, ...notApplicable('cross it', why) }));
  }
}
