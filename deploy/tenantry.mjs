#!/usr/bin/env node
// `npx tenantry <command>` in a checkout: files are named from where it was called.
process.env.TENANTRY_CALLED_FROM = process.cwd();
await import('./run.mjs');
