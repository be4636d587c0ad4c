import { Controller, type OnApplicationBootstrap, type Type } from '@nestjs/common';
import { DiscoveryService } from '@nestjs/core';
import type { ServiceName } from '@tenantry/contracts/route';
import { type StoreCalls, storeCallsOf } from '@tenantry/contracts/stores/operations';
import { type Store, storesOf, type TableStore } from '@tenantry/contracts/stores/stores';
import { Handles } from '@tenantry/messaging/handles';
import type { z } from 'zod';
import { Database } from './database.js';
import { queryOf, TableStores } from './table-stores.js';
import { TenantStore } from './tenant-store.js';

type Input<N extends keyof StoreCalls> = z.infer<StoreCalls[N]['input']>;

/** Answers for the stores of tenants' data that the service owns: erases them, says what is left in them, and reads out what is exported. */
export function storesController(service: ServiceName): Type {
  const calls = storeCallsOf(service);
  const own = new Map(storesOf(service).map((store) => [store.name, store]));

  @Controller()
  class StoresRpc implements OnApplicationBootstrap {
    private readonly tables: TableStores;
    private readonly others = new Map<string, TenantStore>();

    constructor(
      database: Database,
      private readonly discovery: DiscoveryService,
    ) {
      this.tables = new TableStores(database.pool);
    }

    onApplicationBootstrap(): void {
      const providers = this.discovery.getProviders().map(({ instance }) => instance as unknown);
      for (const provider of providers) if (provider instanceof TenantStore) this.others.set(provider.store, provider);
      const missing = [...own.values()].filter(({ kind, name }) => kind === 'other' && !this.others.has(name));
      if (missing.length > 0) throw new Error(`${service} has no handler for its stores: ${missing.map(({ name }) => name).join(', ')}`);
    }

    @Handles(calls.erase)
    async erase({ tenantId, stores }: Input<'erase'>) {
      // In their order: of some, the rows are found through the one after.
      for (const store of stores.map(find)) {
        if (store.kind === 'table') await this.tables.erase(store, tenantId);
        else await this.other(store).erase(tenantId);
      }
      return {};
    }

    @Handles(calls.check)
    async check({ tenantId, stores }: Input<'check'>) {
      const found = await Promise.all(
        stores.map(find).map(async (store) => ({
          name: store.name,
          ...(store.kind === 'table' ? await this.inTable(store, tenantId) : await this.elsewhere(store, tenantId)),
        })),
      );
      return { found };
    }

    @Handles(calls.page)
    async page({ tenantId, store: name, after }: Input<'page'>) {
      const store = find(name);
      if (store.kind !== 'table') throw new Error(`${name} is no table`);
      return this.tables.page(store, tenantId, after);
    }

    private async inTable(store: TableStore, tenantId: string) {
      return { ...(await this.tables.look(store, tenantId)), query: queryOf(store) };
    }
    private async elsewhere(store: Store, tenantId: string) {
      const other = this.other(store);
      const [found, kept] = await Promise.all([other.count(tenantId), other.kept(tenantId)]);
      return { found, kept, query: other.query };
    }

    private other({ name }: Store): TenantStore {
      return this.others.get(name) as TenantStore;
    }
  }

  function find(name: string): Store {
    const store = own.get(name);
    if (!store) throw new Error(`${service} owns no store ${name}`);
    return store;
  }
  return StoresRpc;
}
