import type { ProcessEnvironment } from './config.js';

/** Token for injection: what the process was told at start. Read once; nothing reads `process.env` later. */
export abstract class Environment {
  abstract readonly values: ProcessEnvironment;
}
