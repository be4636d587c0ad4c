import { Module } from '@nestjs/common';
import { provide } from '@tenantry/messaging/provide';
import { AppSessionsModule } from '../blueprint/app-sessions.module.js';
import { EventProbe } from './event-probe.js';
import { ProvisionTenant } from './provision-tenant.effect.js';
import { provisioning } from './provisioning.process.js';
import { ActivateStep } from './steps/activate.step.js';
import { AdminStep } from './steps/admin.step.js';
import { AllocateStep } from './steps/allocate.step.js';
import { ConfigureStep } from './steps/configure.step.js';
import { DomainStep } from './steps/domain.step.js';
import { IsolateStep } from './steps/isolate.step.js';
import { RegisterStep } from './steps/register.step.js';
import { SecureStep } from './steps/secure.step.js';
import { SettingsStep } from './steps/settings.step.js';
import { StoreStep } from './steps/store.step.js';
import { VerifyStep } from './steps/verify.step.js';
import { Steps } from './steps.js';

const steps = [
  RegisterStep,
  AllocateStep,
  SecureStep,
  IsolateStep,
  StoreStep,
  DomainStep,
  ConfigureStep,
  SettingsStep,
  AdminStep,
  VerifyStep,
  ActivateStep,
];

@Module({ imports: [AppSessionsModule], providers: [provide(provisioning), ProvisionTenant, EventProbe, Steps, ...steps] })
export class SagaModule {}
