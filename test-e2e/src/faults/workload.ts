import { setTimeout as sleep } from 'node:timers/promises';
import type { Api, Reply } from '../harness/api.js';
import { PLATFORM } from '../harness/tenants.js';
import type { Random } from './random.js';

/** One command as it was sent. */
export interface Sent {
  /** Its `Idempotency-Key`. */
  key: string;
  /** Of its route in the contracts: the command's id follows from it. */
  route: string;
  /** Null for a creation that nobody has answered. */
  tenantId: string | null;
  /** Events that it makes, when it is acknowledged: none for usage, which is a ledger's line. */
  events: 0 | 1;
  /** For usage. */
  amount: number;
  acknowledged: boolean;
  /** From its first attempt to its answer. */
  tookMs: number;
  attempts: number;
  /** When it was acknowledged, by `performance.now()`. */
  atMs: number;
}

export interface WorkloadOptions {
  random: Random;
  api: Api;
  /** Side by side on each tenant. */
  lanesPerTenant?: number;
  commandsPerLane?: number;
  pauseMs?: [number, number];
  /** Where history may be taken back, what was a change of plan may be none the second time. */
  planChanges?: boolean;
  /** Tenants that are created meanwhile. */
  creations?: number;
  /** How long a client tries one command. */
  patienceMs?: number;
}

const isolations = ['shared', 'dedicated', 'isolated'] as const;
const plans = ['pro', 'business'];

/**
 * Clients that do what a careful client does: every command has a key and is sent again, unchanged, until it is answered. What is sent,
 * and in which order on each lane, follows from the seed alone.
 */
export class Workload {
  readonly sent: Sent[] = [];
  readonly tenantIds: string[] = [];
  /** What came back instead of an answer, by kind. */
  readonly refusals = new Map<string, number>();
  private readonly waiting: { acknowledged: number; reached: () => void }[] = [];
  private acknowledged = 0;
  private stopping = false;
  private readonly options: Required<WorkloadOptions>;

  constructor(options: WorkloadOptions) {
    this.options = {
      lanesPerTenant: 2,
      commandsPerLane: 40,
      pauseMs: [20, 120],
      planChanges: true,
      creations: 2,
      patienceMs: 180_000,
      ...options,
    };
  }

  /** Creates the tenants that the load is on; resolves when they are active. */
  async create(count: number, only?: (typeof isolations)[number]): Promise<string[]> {
    const numbers = Array.from({ length: count }, (_, n) => n);
    const made = await Promise.all(numbers.map((n) => this.createOne(`first-${n}`, only ?? (isolations[n % 3] as 'shared'))));
    for (const tenantId of made) await this.untilActive(tenantId);
    return made;
  }

  /** The whole load; resolves when every command is answered or given up. */
  async run(): Promise<void> {
    const { random, lanesPerTenant, creations } = this.options;
    const first = [...this.tenantIds];
    const lanes = first.flatMap((tenantId, n) =>
      Array.from({ length: lanesPerTenant }, (_, lane) => this.lane(tenantId, `${n}-${lane}`, lane === 0)),
    );
    const creator = async () => {
      const chance = random.of('creator');
      for (let n = 0; n < creations && !this.stopping; n++) {
        await sleep(chance.int(200, 1_200));
        await this.createOne(`later-${n}`, chance.pick(isolations));
      }
    };
    try {
      await Promise.all([...lanes, creator()]);
    } finally {
      this.stopping = true;
      for (const { reached } of this.waiting.splice(0)) reached();
    }
  }

  /** Lanes end after the command that they are at. */
  stop(): void {
    this.stopping = true;
  }

  /** Resolves when so many commands more than now were acknowledged (a moment that is the same in every run), or when the load has ended. */
  after(acknowledged: number): Promise<void> {
    return new Promise((reached) => this.waiting.push({ acknowledged: this.acknowledged + acknowledged, reached }));
  }

  /** How many commands the lanes on so many tenants send. */
  planned(tenants: number): number {
    return tenants * this.options.lanesPerTenant * this.options.commandsPerLane;
  }

  private async lane(tenantId: string, name: string, withPlans: boolean): Promise<void> {
    const chance = this.options.random.of(`lane-${name}`);
    const url = `${PLATFORM}/tenants/${tenantId}`;
    let planChanges = 0;
    for (let n = 0; n < this.options.commandsPerLane && !this.stopping; n++) {
      await sleep(chance.int(...this.options.pauseMs));
      const key = `${name}-${n}`;
      const kind = chance.next();
      // Only one lane changes the plan, from one to the next: none of its changes is none.
      if (kind < 0.05 && withPlans && this.options.planChanges)
        await this.send({ key, route: 'tenants.update', tenantId, events: 1 }, 'PUT', url, { plan: plans[planChanges++ % 2] as string });
      else if (kind < 0.3) await this.send({ key, route: 'tenants.update', tenantId, events: 1 }, 'PUT', url, { name: `Name ${key}` });
      else if (kind < 0.65)
        await this.send({ key, route: 'settings.put', tenantId, events: 1 }, 'PUT', `${url}/settings/fault.${key}`, { value: key });
      else if (kind < 0.75)
        await this.send({ key, route: 'api-keys.create', tenantId, events: 1 }, 'POST', `${url}/api-keys`, { name: key });
      else {
        const amount = chance.int(1, 3);
        const body = { resource: 'api_calls', amount, description: key };
        await this.send({ key, route: 'usage.increment', tenantId, events: 0, amount }, 'POST', `${url}/usage/increment`, body);
      }
    }
  }

  private async createOne(name: string, isolation: string): Promise<string> {
    const body = { name: `Tenant ${name}`, isolation, adminEmail: `admin@${name}.example`, plan: 'enterprise' };
    const command = { key: `create-${name}`, route: 'tenants.create', tenantId: null, events: 1 as const };
    const answer = await this.send(command, 'POST', `${PLATFORM}/tenants`, body);
    if (!answer) throw new Error(`the creation of ${name} was not answered`);
    this.tenantIds.push(answer.body.id);
    return answer.body.id;
  }

  private async untilActive(tenantId: string): Promise<void> {
    const endMs = performance.now() + this.options.patienceMs;
    for (;;) {
      const reply = await this.options.api.get(`${PLATFORM}/tenants/${tenantId}`).catch(() => undefined);
      if (reply?.body?.status === 'active') return;
      if (performance.now() > endMs) throw new Error(`tenant ${tenantId} is ${reply?.body?.status ?? reply?.status} and not active`);
      await sleep(100);
    }
  }

  private async send(
    of: Pick<Sent, 'key' | 'route' | 'tenantId' | 'events'> & { amount?: number },
    method: string,
    path: string,
    body: unknown,
  ): Promise<Reply | undefined> {
    const sent: Sent = { amount: 0, ...of, acknowledged: false, tookMs: 0, attempts: 0, atMs: 0 };
    this.sent.push(sent);
    const headers = {
      authorization: `Bearer ${this.options.api.key}`,
      'content-type': 'application/json',
      'idempotency-key': sent.key,
    };
    const begunMs = performance.now();
    for (;;) {
      sent.attempts += 1;
      const outcome = await attempt(this.options.api, method, path, headers, JSON.stringify(body));
      const tookMs = performance.now() - begunMs;
      if ('answer' in outcome) {
        sent.tookMs = tookMs;
        sent.acknowledged = true;
        sent.atMs = performance.now();
        if (sent.tenantId === null) sent.tenantId = outcome.answer.body.id;
        this.count();
        return outcome.answer;
      }
      this.refusals.set(outcome.again, (this.refusals.get(outcome.again) ?? 0) + 1);
      if (tookMs > this.options.patienceMs) return undefined;
      await sleep(Math.min(2_000, 100 * 2 ** Math.min(sent.attempts, 6)));
    }
  }

  private count(): void {
    this.acknowledged += 1;
    for (const one of this.waiting.filter(({ acknowledged }) => acknowledged <= this.acknowledged)) {
      this.waiting.splice(this.waiting.indexOf(one), 1);
      one.reached();
    }
  }
}

/** @throws Error for an answer that a repeat can't change: the load sends nothing that may be refused */
async function attempt(
  api: Api,
  method: string,
  path: string,
  headers: Record<string, string>,
  body: string,
): Promise<{ answer: Reply } | { again: string }> {
  let reply: Reply;
  try {
    reply = await api.raw(method, path, { headers, body });
  } catch (error) {
    return { again: ((error as Error).cause as NodeJS.ErrnoException | undefined)?.code ?? (error as Error).message };
  }
  if (reply.status < 300) return { answer: reply };
  const code = reply.body?.code ?? '';
  if (code === 'idempotency.secret_already_shown') return { answer: reply };
  const again = reply.status >= 500 || reply.status === 429 || code === 'idempotency.in_flight' || code === 'log.conflict';
  if (again) return { again: `${reply.status} ${code}` };
  throw new Error(`${method} ${path} answered ${reply.status} ${reply.text}`);
}
