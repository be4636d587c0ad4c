import type { Api } from './api.js';
import { PLATFORM, unique } from './tenants.js';

/** Sets the policies; where that takes another person, one is made, who approves it. */
export async function agreeOn(on: Api, items: unknown[]): Promise<void> {
  const { status, body, text } = await on.put(`${PLATFORM}/approval-policies`, { items });
  if (status === 200) return;
  if (status !== 202) throw new Error(`the policies could not be set: ${text}`);
  const { key } = (await on.post(`${PLATFORM}/api-keys`, { name: unique('agrees'), permissions: ['approval:decide'] })).body;
  const approved = await on.as(key).post(`${PLATFORM}/approvals/${body.approval.id}/approve`);
  if (approved.body.status !== 'applied') throw new Error(`the policies were not approved: ${approved.text}`);
}
