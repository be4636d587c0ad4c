import { defineConfig } from 'vitest/config';

// Decorated classes are compiled as tsc does it: legacy decorators with metadata, which Nest's injection reads.
const decorators = { decorator: { legacy: true, emitDecoratorMetadata: true } };

/** Other packages are taken from their `dist`, so build before testing (`npm test` does). */
export default defineConfig({
  oxc: decorators,
  test: {
    // Two cores, and most tests have a PostgreSQL of their own.
    maxWorkers: 2,
    testTimeout: 30_000,
    hookTimeout: 120_000,
    teardownTimeout: 30_000,
    passWithNoTests: false,
    projects: [
      {
        oxc: decorators,
        test: {
          name: 'packages',
          include: ['libs/*/src/**/*.spec.ts', 'services/*/src/**/*.spec.ts', 'deploy/src/**/*.spec.ts'],
          testTimeout: 30_000,
          hookTimeout: 120_000,
        },
      },
      {
        test: {
          name: 'e2e',
          globalSetup: ['test-e2e/src/harness/global-setup.ts'],
          include: ['test-e2e/src/**/*.spec.ts'],
          exclude: ['test-e2e/src/faults/**'],
          // Each starts a whole system: one after the other.
          fileParallelism: false,
          testTimeout: 180_000,
          hookTimeout: 300_000,
        },
      },
      {
        test: {
          name: 'faults',
          include: ['test-e2e/src/faults/**/*.spec.ts'],
          fileParallelism: false,
          testTimeout: 3_600_000,
          hookTimeout: 300_000,
        },
      },
    ],
  },
});
