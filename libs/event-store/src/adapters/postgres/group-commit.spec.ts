import { setImmediate as turn } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { GroupCommit, type Waiting } from './group-commit.js';

interface Item extends Waiting {
  n: number;
}

/** Groups as they were started; each goes on until the test ends it. */
function collector() {
  const started: { items: number[]; end: (skipped?: number[]) => void }[] = [];
  const groups = new GroupCommit<Item>(
    (group) =>
      new Promise((done) => {
        const end = (skipped: number[] = []) => done(group.filter(({ n }) => skipped.includes(n)));
        started.push({ items: group.map(({ n }) => n), end });
      }),
  );
  let n = 0;
  const add = (tenantId: string, bytes = 1) => groups.add({ tenantId, bytes, n: n++ });
  const shown = () => started.map(({ items }) => items);
  return { add, started, shown };
}

describe('group commit', () => {
  it('takes what comes together, then collects while two groups are under way', async () => {
    const { add, started, shown } = collector();
    add('a');
    add('b');
    await turn();
    add('c');
    await turn();
    add('d');
    add('e');
    await turn();
    expect(shown()).toEqual([[0, 1], [2]]);
    started[0]?.end();
    await turn();
    await turn();
    expect(shown()).toEqual([[0, 1], [2], [3, 4]]);
  });

  it('never has two groups with the same tenant under way, and keeps the order of a tenant', async () => {
    const { add, started, shown } = collector();
    add('a');
    await turn();
    add('a');
    add('b');
    add('a');
    await turn();
    expect(shown()).toEqual([[0], [2]]);
    started[0]?.end();
    await turn();
    await turn();
    expect(shown()).toEqual([[0], [2], [1, 3]]);
  });

  it('takes up again what was skipped, in its order; after three times in a group of its tenant alone', async () => {
    const { add, started, shown } = collector();
    const end = async (group: number, skipped: number[]) => {
      started[group]?.end(skipped);
      await turn();
      await turn();
    };
    add('a');
    add('b');
    add('a');
    await turn();
    add('a');
    add('c');
    await end(0, [0, 2]);
    expect(shown()[1]).toEqual([0, 2, 3, 4]);
    await end(1, [0, 2, 3]);
    expect(shown()[2]).toEqual([0, 2, 3]);
    add('b');
    await end(2, [0, 2, 3]);
    expect(shown().slice(4)).toEqual([[0, 2, 3]]);
    expect(shown()[3]).toEqual([5]);
  });

  it('lets those that wait for their log not hold up the others', async () => {
    const { add, started, shown } = collector();
    for (const tenant of ['a', 'b', 'c']) add(tenant);
    await turn();
    for (let round = 0; round < 3; round++) {
      started[round]?.end([0, 1, 2]);
      await turn();
      await turn();
    }
    expect(shown().slice(3)).toEqual([[0], [1]]);
    add('d');
    add('e');
    await turn();
    expect(shown().slice(5)).toEqual([[3, 4]]);
  });

  it('holds 64 commands and 256 KiB; what is larger goes alone', async () => {
    const { add, started, shown } = collector();
    for (let i = 0; i < 70; i++) add(`t${i}`);
    add('large', 300 * 1024);
    await turn();
    expect(shown().map((items) => items.length)).toEqual([64, 6]);
    started[0]?.end();
    await turn();
    await turn();
    expect(shown()[2]).toEqual([70]);
  });
});
