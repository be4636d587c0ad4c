import { type Document, type Node, Sealed } from './document.js';

/** One leaf that differs. Null where there is nothing. */
export interface NodeChange {
  path: string[];
  from: Node;
  to: Node;
}

/** Leaf by leaf; lists are leaves. Nothing and null are the same. */
export function changesBetween(from: Document, to: Document): NodeChange[] {
  const found: NodeChange[] = [];
  compare(from, to, [], found);
  return found;
}

function compare(from: Node, to: Node, path: string[], found: NodeChange[]): void {
  if (from === to) return;
  if (isBranch(from) || isBranch(to)) {
    const [before, now] = [isBranch(from) ? from : {}, isBranch(to) ? to : {}];
    for (const name of new Set([...Object.keys(before), ...Object.keys(now)])) compare(before[name], now[name], [...path, name], found);
    return;
  }
  const [before, now] = [from ?? null, to ?? null];
  if (JSON.stringify(before) !== JSON.stringify(now)) found.push({ path, from: before, to: now });
}

const isBranch = (node: Node): node is Document =>
  typeof node === 'object' && node !== null && !Array.isArray(node) && !(node instanceof Sealed);

/** `plan.id`, `settings["smtp.host"]`. */
export const pathText = (path: readonly string[]): string =>
  path.reduce((text, name) => (/^[\w-]+$/.test(name) ? `${text}${text && '.'}${name}` : `${text}[${JSON.stringify(name)}]`), '');
