import { Module } from '@nestjs/common';
import { provide } from '@tenantry/messaging/provide';
import { CatalogueCheck } from './catalogue.check.js';
import { GetPlanRpc } from './get-plan.rpc.js';
import { ListPlansRpc } from './list-plans.rpc.js';
import { PlanSeeder } from './plan-seeder.js';
import { plansProjection } from './plans.projection.js';

@Module({ controllers: [ListPlansRpc, GetPlanRpc], providers: [provide(plansProjection), PlanSeeder, CatalogueCheck] })
export class PlanModule {}
