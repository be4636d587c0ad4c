import { Module } from '@nestjs/common';
import { PlanModule } from './plan/plan.module.js';
import { SubscriptionModule } from './subscription/subscription.module.js';

@Module({ imports: [PlanModule, SubscriptionModule] })
export class AppModule {}
