import { isEncrypted } from './envelope.js';

/**
 * The ciphertexts in an event's data that are values of sensitive settings: of those that say so themselves, and of those that are
 * sensitive today. A setting is an object with `value`, mostly with its `key`; what it was `before` stands inside it without one.
 */
export function secretValues(data: unknown, sensitive: ReadonlySet<string>): Set<string> {
  const found = new Set<string>();
  const visit = (node: unknown, key?: string): void => {
    if (typeof node !== 'object' || node === null) return;
    if (Array.isArray(node)) {
      for (const inner of node) visit(inner, key);
      return;
    }
    const own = node as Record<string, unknown>;
    const named = typeof own['key'] === 'string' ? own['key'] : key;
    const secret = own['encrypted'] === true || (named !== undefined && sensitive.has(named));
    if (secret && isEncrypted(own['value'])) found.add(own['value'].enc);
    for (const inner of Object.values(own)) visit(inner, named);
  };
  visit(data);
  return found;
}
