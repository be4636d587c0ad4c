import { describe, expect, it } from 'vitest';
import { readSettings, slips } from './settings.js';

const read = (env: NodeJS.ProcessEnv) => readSettings(env, '/srv/app');

describe('settings of the launcher', () => {
  it('have defaults', () => {
    const { settings, faults } = read({});
    expect(faults).toEqual([]);
    expect(settings).toMatchObject({ port: 8080, dataDir: '/srv/app/.tenantry', baseDomain: 'tenantry.localhost', test: false });
  });

  it('report every fault at once, each with its remedy', () => {
    const { faults } = read({
      TENANTRY_PORT: 'http',
      TENANTRY_POSTGRES_URL: 'mysql://x',
      TENANTRY_REPLICAS: 'gateway=0,bill=2',
      TENANTRY_LOG_LEVEL: 'loud',
    });
    expect(faults.map((fault) => fault.variable)).toEqual([
      'TENANTRY_PORT',
      'TENANTRY_POSTGRES_URL',
      'TENANTRY_REPLICAS',
      'TENANTRY_REPLICAS',
      'TENANTRY_LOG_LEVEL',
    ]);
    expect(faults.every((fault) => fault.remedy.length > 0)).toBe(true);
  });

  it('never repeat a URL that may hold a password', () => {
    const { faults } = read({ TENANTRY_POSTGRES_URL: 'http://admin:hunter2@db' });
    expect(JSON.stringify(faults)).not.toContain('hunter2');
  });

  it('read replicas by process', () => {
    expect(read({ TENANTRY_REPLICAS: 'gateway=2, billing=3' }).settings.replicas).toEqual(
      new Map([
        ['gateway', 2],
        ['billing', 3],
      ]),
    );
  });

  it('check faults only where they are honoured', () => {
    expect(read({ TENANTRY_FAULT: 'nobody:*:kill' }).faults).toEqual([]);
    expect(read({ TENANTRY_FAULT: 'nobody:*:kill', TENANTRY_TEST: '1' }).faults).toHaveLength(1);
    expect(read({ TENANTRY_FAULT: 'provisioning:*:kill,relay:publish.done:kill-nats', TENANTRY_TEST: '1' }).faults).toEqual([]);
  });

  it('notice names that are nearly right', () => {
    expect(slips({ TENANTRY_DATADIR: 'x', TENANTRY_PROT: '1', TENANTRY_PORT: '1', TENANTRY_MAIL: 'outbox' })).toEqual([
      { variable: 'TENANTRY_DATADIR', meant: 'TENANTRY_DATA_DIR' },
      { variable: 'TENANTRY_PROT', meant: 'TENANTRY_PORT' },
    ]);
  });
});
