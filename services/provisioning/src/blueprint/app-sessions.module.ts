import { Module, type OnApplicationShutdown } from '@nestjs/common';
import { Keyring } from '@tenantry/crypto/keyring';
import { Database } from '@tenantry/service/database';
import { Environment } from '@tenantry/service/environment';
import { AppSessions } from '@tenantry/tenancy/app-sessions';

function appSessions(environment: Environment, { pool }: Database, keys: Keyring): AppSessions {
  const url = environment.values.TENANTRY_BLUEPRINTS_POSTGRES_URL;
  if (url === undefined)
    throw new Error(
      'TENANTRY_BLUEPRINTS_POSTGRES_URL is not set: blueprints run with a login of their own. Make the credentials again (what is there is kept), migrate, and hand provisioning its process.env.',
    );
  return new AppSessions({ pool, keys }, url);
}

/** What whoever runs SQL of the operator's product needs. */
@Module({
  providers: [{ provide: AppSessions, inject: [Environment, Database, Keyring], useFactory: appSessions }],
  exports: [AppSessions],
})
export class AppSessionsModule implements OnApplicationShutdown {
  constructor(private readonly sessions: AppSessions) {}
  async onApplicationShutdown(): Promise<void> {
    await this.sessions.close();
  }
}
