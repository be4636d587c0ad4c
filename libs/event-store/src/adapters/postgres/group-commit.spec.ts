import { setImmediate as turn } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { GroupCommit, type Waiting } from './group-commit.js';

interface Item extends Waiting {
  n: number;
}

/** Groups as they were started; each goes on until the test ends it. */
function collector() {
  const started: { items: number[]; end: () => void }[] = [];
  const groups = new GroupCommit<Item>((group) => new Promise((end) => started.push({ items: group.map(({ n }) => n), end })));
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
