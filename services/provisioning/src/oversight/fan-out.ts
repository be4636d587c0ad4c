import { DomainError, invalidField } from '@tenantry/contracts/errors';
import { type ConsumerService, consumerServices } from '@tenantry/contracts/platform/consumers';

interface Unanswered {
  service: ConsumerService;
  error: string;
}

/** Asks services at the same time. One that doesn't answer takes nothing from what the others say. */
export async function askAll<T>(
  services: readonly ConsumerService[],
  ask: (service: ConsumerService) => Promise<T>,
): Promise<{ answers: { service: ConsumerService; answer: T }[]; unanswered: Unanswered[] }> {
  const settled = await Promise.allSettled(services.map(ask));
  const answers: { service: ConsumerService; answer: T }[] = [];
  const unanswered: Unanswered[] = [];
  settled.forEach((result, n) => {
    const service = services[n] as ConsumerService;
    if (result.status === 'fulfilled') answers.push({ service, answer: result.value });
    else unanswered.push({ service, error: result.reason instanceof DomainError ? result.reason.detail : 'It did not answer' });
  });
  return { answers, unanswered };
}

/** Where a page ended: a service, and its last item. The services come in one order. */
interface After {
  service: ConsumerService;
  key: string[];
}
const encodeAfter = ({ service, key }: After): string => Buffer.from([service, ...key].join('|')).toString('base64url');
export function decodeAfter(cursor: string | undefined, keyParts: number): After | null {
  if (cursor === undefined) return null;
  const [service, ...key] = Buffer.from(cursor, 'base64url').toString().split('|');
  const known = consumerServices.find((name) => name === service);
  if (!known || key.length !== keyParts || !/^[0-9a-f-]{36}$/.test(key.at(-1) ?? ''))
    throw invalidField('cursor', 'cursor', 'must be the nextCursor of the page before');
  return { service: known, key };
}

/** The services that have a part of the rest of the list. */
export const servicesFrom = (after: After | null, only: ConsumerService | undefined): readonly ConsumerService[] =>
  (only ? [only] : consumerServices).filter((name) => !after || consumerServices.indexOf(name) >= consumerServices.indexOf(after.service));

/** One page of what was answered, in the order of the services, and where it ended. Each was asked for one more than the page has. */
export function pageOf<T>(
  answers: { service: ConsumerService; answer: { items: T[] } }[],
  limit: number,
  keyOf: (item: T) => string[],
): { items: T[]; nextCursor: string | null } {
  const all = answers.flatMap(({ service, answer }) => answer.items.map((item) => ({ service, item })));
  const shown = all.slice(0, limit);
  const last = all.length > limit ? shown.at(-1) : undefined;
  return {
    items: shown.map(({ item }) => item),
    nextCursor: last ? encodeAfter({ service: last.service, key: keyOf(last.item) }) : null,
  };
}
