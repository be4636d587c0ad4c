import type { Clock } from '@tenantry/contracts/clock';
import { ComeBack } from '@tenantry/messaging/effects';

/** A clock that was set is noticed after this time. */
const LONGEST_WAIT_MS = 3_600_000;

/** For an effect that is to happen at an instant. @throws ComeBack until then */
export function comeBackAt(instant: string, clock: Clock): void {
  const waitMs = Date.parse(instant) - clock.nowMs();
  if (waitMs > 0) throw new ComeBack(Math.min(waitMs, LONGEST_WAIT_MS));
}
