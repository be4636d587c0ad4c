import { bootstrap } from '@tenantry/service/bootstrap';
import { AppModule } from './app.module.js';

await bootstrap({ service: 'gateway', imports: [AppModule], pools: { database: 8, log: 1 } });
