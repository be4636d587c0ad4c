/** Why work over many tenants has failed: which of them, its items say. */
export const itemsFailed = (count: number, what: 'items' | 'tenants') => ({
  code: 'operation.items_failed',
  detail: `${count} ${what} failed; see the items`,
});

export const pausedByFailures = {
  code: 'operation.items_failed',
  detail: 'It paused because items failed; see the items, then resume, retry or cancel it.',
};
