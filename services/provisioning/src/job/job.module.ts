import { Module } from '@nestjs/common';
import { provide } from '@tenantry/messaging/provide';
import { OperationModule } from '../operation/operation.module.js';
import { ForgetJobs } from './forget-jobs.job.js';
import { jobs } from './job.process.js';
import { JobRows } from './job-rows.js';
import { Jobs } from './jobs.js';
import { RunJob } from './run-job.effect.js';

/** Handlers are providers of the features that have such work. */
@Module({ imports: [OperationModule], providers: [JobRows, Jobs, provide(jobs), RunJob, ForgetJobs], exports: [Jobs] })
export class JobModule {}
