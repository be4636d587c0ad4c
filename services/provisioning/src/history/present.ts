import type { Personal } from '@tenantry/contracts/events';
import type { Change } from '@tenantry/contracts/tenant/history-routes';
import type { Keyring } from '@tenantry/crypto/keyring';
import { revealed } from '@tenantry/crypto/revealed';
import { permits } from '@tenantry/service/authorize';
import { MASKED } from '../config/setting-input.js';
import { type NodeChange, pathText } from './changes.js';
import { type Node, Sealed } from './document.js';

/** Who reads, and which settings are sensitive today: what they were before they became so stays hidden too. */
export interface Reader {
  permissions: readonly string[];
  sensitive: ReadonlySet<string>;
}

const maySee = ({ kind }: Sealed, path: readonly string[], { permissions, sensitive }: Reader): boolean =>
  kind === 'personal'
    ? permits(permissions, 'personal:read')
    : kind === 'setting' &&
      !sensitive.has(path[1] ?? '') &&
      (permits(permissions, 'settings:read') || permits(permissions, 'personal:read'));

/** Changes as readers see them. All that is to be decrypted is so at once; null stands where a key was destroyed. */
export async function shown(keyring: Keyring, tenantId: string, lists: readonly NodeChange[][], reader: Reader): Promise<Change[][]> {
  const sealed = new Map<Sealed, Personal>();
  for (const { path, from, to } of lists.flat())
    for (const side of [from, to]) if (side instanceof Sealed && maySee(side, path, reader)) sealed.set(side, side.value);
  const values = await revealed(keyring, tenantId, [...sealed.values()]);
  const clear = new Map([...sealed.keys()].map((one, index) => [one, values[index] as string | null]));
  const plain = (side: Node): unknown => {
    if (!(side instanceof Sealed)) return side ?? null;
    const text = clear.get(side);
    if (text === undefined) return MASKED;
    return side.kind === 'setting' && text !== null ? JSON.parse(text) : text;
  };
  return lists.map((changes) =>
    changes.map(({ path, from, to }) => ({ path: pathText(path), from: plain(from), to: plain(to) }) as Change),
  );
}
