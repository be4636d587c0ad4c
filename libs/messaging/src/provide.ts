import type { ValueProvider } from '@nestjs/common';
import type { ProcessManager, Projection } from './projection.js';

/** A projection or process manager as a provider of its feature's module. The worker finds it by its `kind`; nothing injects it by token. */
export const provide = (definition: Projection | ProcessManager): ValueProvider => ({
  provide: Symbol(`tenantry:${definition.kind}:${definition.name}`),
  useValue: definition,
});
