import { Module } from '@nestjs/common';
import { BlueprintModule } from '../blueprint/blueprint.module.js';
import { JobModule } from '../job/job.module.js';
import { CheckIsolation } from './check-isolation.job.js';
import { IsolationChecks } from './isolation-checks.js';
import { IsolationChecksTimer } from './isolation-checks.timer.js';
import { Peers } from './peers.js';
import { ApiProbe } from './probes/api.probe.js';
import { BusProbe } from './probes/bus.probe.js';
import { DatabaseProbe } from './probes/database.probe.js';
import { FilesProbe } from './probes/files.probe.js';
import { KeysProbe } from './probes/keys.probe.js';
import { LogsProbe } from './probes/logs.probe.js';
import { OutsideProbe } from './probes/outside.probe.js';
import { TokensProbe } from './probes/tokens.probe.js';
import { ReadIsolationChecksRpc } from './read-isolation-checks.rpc.js';
import { Reports } from './reports.js';
import { RequestIsolationCheckRpc } from './request-isolation-check.rpc.js';
import { TenantApi } from './tenant-api.js';

const probes = [DatabaseProbe, ApiProbe, TokensProbe, BusProbe, FilesProbe, KeysProbe, LogsProbe, OutsideProbe];

@Module({
  imports: [JobModule, BlueprintModule],
  controllers: [RequestIsolationCheckRpc, ReadIsolationChecksRpc],
  providers: [TenantApi, Peers, Reports, IsolationChecks, CheckIsolation, IsolationChecksTimer, ...probes],
  exports: [TenantApi, Reports],
})
export class IsolationModule {}
