import type { OperationView } from '@tenantry/contracts/tenant/bodies';
import { describe, expect, it } from 'vitest';
import { changes } from './changes.js';

type Step = OperationView['steps'][number];
const step = (name: Step['name'], status: Step['status'], attempt = 1, error: Step['error'] = null): Step => ({
  name,
  status,
  attempt,
  startedAt: null,
  durationMs: null,
  error,
});
const operation = (...steps: Step[]): OperationView => ({
  id: '',
  type: 'provisioning',
  tenantId: null,
  status: 'running',
  steps,
  error: null,
  createdAt: '',
  finishedAt: null,
});

describe('the steps to show', () => {
  it('are at first all that have begun', () => {
    expect(
      changes(null, operation(step('register', 'succeeded'), step('allocate', 'running'), step('secure', 'pending'))).map(
        ({ name }) => name,
      ),
    ).toEqual(['register', 'allocate']);
  });
  it('are later those that changed: their state, attempt or error', () => {
    const before = operation(
      step('register', 'succeeded'),
      step('allocate', 'failed', 1, { code: 'a', detail: '' }),
      step('secure', 'pending'),
    );
    expect(changes(before, before)).toEqual([]);
    const after = operation(
      step('register', 'succeeded'),
      step('allocate', 'failed', 2, { code: 'a', detail: '' }),
      step('secure', 'running'),
    );
    expect(changes(before, after).map(({ name }) => name)).toEqual(['allocate', 'secure']);
  });
});
