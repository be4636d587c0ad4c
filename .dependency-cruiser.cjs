/** Rules that matter: a service is an island, libs know no service, and rules are pure. */

/** Files in which rules live: they decide, others do. Add a feature's further rules here by name. */
const pure = [
  { path: '^libs/contracts/src/' },
  { path: '^libs/event-store/src/(aggregate|port)[.]ts$' },
  { path: '^libs/messaging/src/(projection|effects|fold)[.]ts$' },
  { path: '^services/[a-z-]+/src/[a-z-]+/[a-z-]+[.](projection|process)[.]ts$' },
  // An aggregate has the name of its feature: `tenant/tenant.ts`.
  { path: '^services/[a-z-]+/src/([a-z-]+)/\\1[.]ts$' },
  { path: '^services/[a-z-]+/src/[a-z-]+/(registration|period|backoff|quotas|permission|host)[.]ts$' },
];
const io = [
  '^(node:)?(fs|net|http|https|http2|tls|dgram|dns|child_process|worker_threads|cluster)(/|$)',
  'node_modules/(pg|@nats-io|@nestjs|@eventstore|pino|fastify)/',
];
const rulesArePure = pure.map(({ path }, index) => ({
  name: `rules-are-pure-${index + 1}`,
  comment: 'Aggregates, decisions, projections and contracts reach for nothing: no I/O, no framework.',
  severity: 'error',
  from: { path, pathNot: '[.]spec[.]ts$' },
  to: { path: io, dependencyTypesNot: ['type-only'] },
}));

module.exports = {
  forbidden: [
    {
      name: 'no-circular',
      comment: 'Two files that need each other are one file, or miss a third.',
      severity: 'error',
      from: {},
      to: { circular: true, viaOnly: { dependencyTypesNot: ['type-only'] } },
    },
    {
      name: 'services-are-islands',
      comment: 'Services talk by NATS only.',
      severity: 'error',
      from: { path: '^services/([^/]+)/' },
      to: { path: '^services/', pathNot: '^services/$1/' },
    },
    {
      name: 'nothing-imports-a-service',
      severity: 'error',
      from: { pathNot: '^services/' },
      to: { path: '^services/' },
    },
    {
      name: 'libs-know-no-application',
      severity: 'error',
      from: { path: '^libs/' },
      to: { path: '^(services|deploy|test-e2e)/' },
    },
    {
      name: 'no-test-code-in-services',
      comment: 'Real servers for tests (libs/testing) are for tests and for the local launcher.',
      severity: 'error',
      from: { path: '^services/', pathNot: '[.](spec|fixture)[.]ts$|/testing/' },
      to: { path: '^libs/testing/' },
    },
    ...rulesArePure,
    {
      name: 'not-to-unresolvable',
      severity: 'error',
      from: {},
      to: { couldNotResolve: true },
    },
  ],
  options: {
    doNotFollow: { path: '(^|/)(node_modules|dist)/' },
    // Packages meet at each other's dist; the sources of each are looked at where they are.
    exclude: { path: '(^|/)(node_modules/\\.cache|coverage)/' },
    tsPreCompilationDeps: true,
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['types', 'import', 'node', 'default'],
    },
  },
};
