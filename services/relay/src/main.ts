import { bootstrap } from '@tenantry/service/bootstrap';
import { AppModule } from './app.module.js';

await bootstrap({ service: 'relay', imports: [AppModule] });
