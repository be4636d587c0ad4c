import { Injectable } from '@nestjs/common';
import type { ProvisioningStep } from '@tenantry/contracts/tenant/events';
import type { Step } from './step.js';
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

@Injectable()
export class Steps {
  private readonly byName: Record<ProvisioningStep, Step>;
  constructor(
    register: RegisterStep,
    allocate: AllocateStep,
    secure: SecureStep,
    isolate: IsolateStep,
    store: StoreStep,
    domain: DomainStep,
    configure: ConfigureStep,
    settings: SettingsStep,
    admin: AdminStep,
    verify: VerifyStep,
    activate: ActivateStep,
  ) {
    this.byName = { register, allocate, secure, isolate, store, domain, configure, settings, admin, verify, activate };
  }
  of(name: ProvisioningStep): Step {
    return this.byName[name];
  }
}
