import { setTimeout as sleep } from 'node:timers/promises';
import { readIfThere, writeWhole } from './files.js';

const EVERY_MS = 5_000;
/** A system that has just come up may lose a process again: its first copy is waited for, for a while. */
const FIRST_WITHIN_MS = 60_000;
const FIRST_EVERY_MS = 250;

/** Certificates are verified with the copy when the system is away, or gone: so it follows the keys, which are rotated. */
export class PublicKeysCopy {
  private timer: NodeJS.Timeout | undefined;
  private readonly stopped = new AbortController();
  private copying: Promise<void> = Promise.resolve();
  private hasFailed = false;

  constructor(
    private readonly file: string,
    private readonly say: (text: string) => void,
  ) {}

  /** @throws Error where there is no first copy within a minute */
  async start(gatewayUrl: string): Promise<void> {
    await this.first(gatewayUrl);
    const again = () => {
      this.copying = this.copy(gatewayUrl)
        .then(
          () => {
            this.hasFailed = false;
          },
          (error: Error) => {
            // The gateway may be on its way back; what was copied holds until then.
            if (!this.hasFailed && !this.stopped.signal.aborted)
              this.say(`the copy of the public keys could not be brought up to date: ${error.message}`);
            this.hasFailed = true;
          },
        )
        .finally(next);
    };
    const next = () => {
      if (!this.stopped.signal.aborted) this.timer = setTimeout(again, EVERY_MS).unref();
    };
    this.timer = setTimeout(again, EVERY_MS).unref();
  }

  private async first(gatewayUrl: string): Promise<void> {
    for (const endMs = performance.now() + FIRST_WITHIN_MS; ; ) {
      try {
        return await this.copy(gatewayUrl);
      } catch (error) {
        if (this.stopped.signal.aborted || performance.now() > endMs) throw error;
        await sleep(FIRST_EVERY_MS);
      }
    }
  }

  async stop(): Promise<void> {
    clearTimeout(this.timer);
    this.stopped.abort();
    await this.copying;
  }

  private async copy(gatewayUrl: string): Promise<void> {
    const response = await fetch(`${gatewayUrl}/.well-known/jwks.json`, {
      signal: AbortSignal.any([this.stopped.signal, AbortSignal.timeout(10_000)]),
    });
    if (!response.ok) throw new Error(`The public keys could not be read: ${gatewayUrl} answered ${response.status}`);
    const text = await response.text();
    if ((await readIfThere(this.file)) !== text) await writeWhole(this.file, text);
  }
}
