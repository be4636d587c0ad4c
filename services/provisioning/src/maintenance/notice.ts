import type { Notice } from '../bulk/notify.job.js';
import type { Announced } from './maintenance.js';

const utc = (instant: string) => `${instant.slice(0, 16).replace('T', ' ')} UTC`;

/** What the tenants are told. */
export function noticeOf(which: 'announced' | 'reminder', { startsAt, endsAt, reason, emergency }: Announced): Notice {
  const when = `from ${utc(startsAt)} to ${utc(endsAt)}`;
  const subject = emergency
    ? `Emergency maintenance until ${utc(endsAt)}`
    : which === 'reminder'
      ? `Maintenance begins soon: ${utc(startsAt)}`
      : `Maintenance ${when}`;
  return {
    subject,
    text: `There is maintenance ${when}. Requests are answered with "503 Service Unavailable" during that time, and with when to try again.\n\nThe reason: ${reason}\n`,
  };
}
