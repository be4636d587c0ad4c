import { type WakeUp, WakeUps } from '../wake-ups.js';
import type { Process, World } from './world.js';

interface Subscriber {
  process: Process;
  pattern: string[];
  receive: (subject: string, message: WakeUp) => void;
}

/** How core NATS treats messages, in a bad hour. */
export interface BusWeather {
  drop: number;
  duplicate: number;
  /** Messages overtake each other. */
  delayMs: number;
}

/** Messages between processes: lost, doubled, late and in any order. */
export class SimulatedBus {
  private subscribers: Subscriber[] = [];

  constructor(
    private readonly world: World,
    private readonly weather: BusWeather,
  ) {}

  publish(subject: string, message: WakeUp): void {
    const tokens = subject.split('.');
    for (const { process, pattern, receive } of this.subscribers) {
      if (!process.alive || !matches(pattern, tokens) || this.world.chance(this.weather.drop)) continue;
      const times = this.world.chance(this.weather.duplicate) ? 2 : 1;
      for (let n = 0; n < times; n++) process.after(this.world.random() * this.weather.delayMs, () => receive(subject, message));
    }
  }

  subscribe(process: Process, subject: string, receive: (subject: string, message: WakeUp) => void): () => void {
    const subscriber = { process, pattern: subject.split('.'), receive };
    this.subscribers.push(subscriber);
    const end = () => {
      this.subscribers = this.subscribers.filter((each) => each !== subscriber);
    };
    process.onKill(end);
    return end;
  }
}

const matches = (pattern: string[], tokens: string[]): boolean =>
  pattern.at(-1) === '>'
    ? tokens.length >= pattern.length && pattern.slice(0, -1).every((token, index) => token === '*' || token === tokens[index])
    : pattern.length === tokens.length && pattern.every((token, index) => token === '*' || token === tokens[index]);

export class SimulatedWakeUps extends WakeUps {
  constructor(
    private readonly process: Process,
    private readonly bus: SimulatedBus,
  ) {
    super();
  }
  override subscribe(subject: string, woken: (wakeUp: WakeUp) => void): () => void {
    return this.bus.subscribe(this.process, subject, (_subject, message) => woken(message));
  }
}
