import { effect, processManager } from '@tenantry/messaging/projection';

export interface WriteBlueprint {
  name: string;
}

/** What was accepted is written down for those who make tenants' tables, also where the request that accepted it ended too early. */
export const writtenBlueprints = processManager({
  name: 'written-blueprints',
  on: {
    BlueprintChanged: ({ data: { name } }) => effect('write-blueprint', { name } satisfies WriteBlueprint),
    BlueprintVersionPublished: ({ data: { name } }) => effect('write-blueprint', { name } satisfies WriteBlueprint),
  },
});
