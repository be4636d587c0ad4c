import { describe, expect, it } from 'vitest';
import type { Manifest } from './overlays.js';
import { faultsOf } from './schema.js';

const service = (): Manifest => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name: 'gateway', labels: { any: 'label' } },
  spec: { selector: { any: 'label' }, ports: [{ name: 'http', port: 80, targetPort: 'http' }] },
});

describe('validation of a manifest', () => {
  it('finds nothing wrong with a good one', async () => {
    expect(await faultsOf(service())).toEqual([]);
  });

  it('finds a wrong type', async () => {
    const wrong = service();
    wrong.spec.ports[0].port = 'http';
    expect((await faultsOf(wrong)).join()).toContain('/spec/ports/0/port');
  });

  it('finds a missing field', async () => {
    const wrong = service();
    delete wrong.spec.ports[0].port;
    expect((await faultsOf(wrong)).join()).toContain('port');
  });

  it('finds a field that does not exist', async () => {
    const wrong = service();
    wrong.spec.ports[0].targetport = 80;
    expect(await faultsOf(wrong)).toEqual(['/spec/ports/0/targetport is not known']);
  });

  it('finds a kind that does not exist', async () => {
    expect((await faultsOf({ ...service(), apiVersion: 'policy/v2' })).join()).toContain('no kind');
  });
});
