import { Injectable } from '@nestjs/common';
import { type Effect, EffectHandler } from '@tenantry/messaging/effects';
import type { WriteBlueprint } from './blueprint.process.js';
import { Blueprints } from './blueprints.js';

@Injectable()
export class WriteBlueprintEffect extends EffectHandler<WriteBlueprint> {
  override readonly effect = 'write-blueprint';
  constructor(private readonly blueprints: Blueprints) {
    super();
  }
  override async run({ payload }: Effect<WriteBlueprint>): Promise<void> {
    await this.blueprints.write(payload.name);
  }
}
