/** Rules that matter: a service is an island, libs know no service, and rules are pure. */

/** Files in which rules live: they decide, others do. What does I/O says so in its name (`<use-case>.<kind>.ts`) or has no business beside an aggregate. */
const pure = [
  '^libs/contracts/src/',
  '^libs/event-store/src/(aggregate|port)\\.ts$',
  '^libs/messaging/src/(projection|effects|fold)\\.ts$',
  // The aggregate of a feature has the feature's name: `tenant/tenant.ts`.
  '^services/[^/]+/src/([^/]+)/\\1\\.ts$',
  '^services/[^/]+/src/.*\\.projection\\.ts$',
  '^services/[^/]+/src/.*/(backoff|period|registration|permission|steps|rules)\\.ts$',
];
const io = [
  '^(node:)?(fs|net|http|https|http2|tls|dgram|dns|child_process|worker_threads|cluster|process)(/.*)?$',
  'node_modules/(pg|@nats-io|@nestjs|drizzle-orm/node-postgres|@eventstore|pino|fastify)(/|$)',
];

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
      from: { path: '^services/', pathNot: '\\.spec\\.ts$' },
      to: { path: '^libs/testing/' },
    },
    {
      name: 'rules-are-pure',
      comment: 'Aggregates, decisions and contracts reach for nothing: no I/O, no framework.',
      severity: 'error',
      from: { path: pure, pathNot: '\\.spec\\.ts$' },
      to: { path: io },
    },
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
