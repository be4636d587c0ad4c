import { auditFaces, auditRoutes } from './audit/routes.js';
import { billingFaces, billingRoutes } from './billing/routes.js';
import { approvalRoutes } from './config/approval-routes.js';
import { featureFaces, featureRoutes } from './config/feature-routes.js';
import { configFaces, configRoutes } from './config/routes.js';
import { configVersionFaces, configVersionRoutes } from './config/version-routes.js';
import { domainFaces, domainRoutes } from './domain/routes.js';
import { eventSubscriptionFaces, eventSubscriptionRoutes } from './identity/event-subscriptions.js';
import { keyRoutes } from './identity/key-routes.js';
import { identityFaces, identityRoutes } from './identity/routes.js';
import { signingRoutes } from './identity/signing.js';
import { blueprintRoutes } from './platform/blueprints.js';
import { startBulkOperation } from './platform/bulk.js';
import { consumerRoutes } from './platform/consumers.js';
import { isolationRoutes } from './platform/isolation.js';
import { maintenanceFaces, maintenanceRoutes } from './platform/maintenance.js';
import { serverRoutes } from './platform/servers.js';
import { limitRoutes } from './quota/limit-routes.js';
import { quotaFaces, quotaRoutes } from './quota/routes.js';
import type { Face, Route } from './route.js';
import { tenantConfigRoutes } from './tenant/config-routes.js';
import { erasureRoutes } from './tenant/erasure-routes.js';
import { eventFaces, eventRoutes } from './tenant/event-routes.js';
import { fileFaces, fileRoutes } from './tenant/file-routes.js';
import { historyFaces, historyRoutes } from './tenant/history-routes.js';
import { lifecycleFaces, lifecycleRoutes } from './tenant/lifecycle-routes.js';
import { metricsFaces, metricsRoutes } from './tenant/metrics-routes.js';
import { operationFaces, operationRoutes } from './tenant/operation-routes.js';
import { tenantFaces, tenantRoutes } from './tenant/routes.js';

/** Every route of the platform surface. */
export const routes: Route[] = [
  ...tenantRoutes,
  ...metricsRoutes,
  ...lifecycleRoutes,
  ...historyRoutes,
  ...eventRoutes,
  ...erasureRoutes,
  ...configRoutes,
  ...tenantConfigRoutes,
  ...configVersionRoutes,
  ...featureRoutes,
  ...approvalRoutes,
  ...quotaRoutes,
  ...limitRoutes,
  ...domainRoutes,
  ...billingRoutes,
  ...auditRoutes,
  ...identityRoutes,
  ...signingRoutes,
  ...keyRoutes,
  ...eventSubscriptionRoutes,
  ...operationRoutes,
  ...consumerRoutes,
  startBulkOperation,
  ...maintenanceRoutes,
  ...serverRoutes,
  ...isolationRoutes,
  ...fileRoutes,
  ...blueprintRoutes,
] as Route[];

/** Every second face: the tenant surface. */
export const faces: Face[] = [
  ...tenantFaces,
  ...metricsFaces,
  ...lifecycleFaces,
  ...historyFaces,
  ...eventFaces,
  ...configFaces,
  ...configVersionFaces,
  ...featureFaces,
  ...quotaFaces,
  ...domainFaces,
  ...billingFaces,
  ...auditFaces,
  ...identityFaces,
  ...eventSubscriptionFaces,
  ...fileFaces,
  ...maintenanceFaces,
  ...operationFaces,
];
