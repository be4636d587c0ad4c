import { Injectable } from '@nestjs/common';
import { signDocument } from '@tenantry/contracts/identity/operations';
import type { Attempt, IsolationReport, verdicts } from '@tenantry/contracts/platform/isolation';
import { signedText } from '@tenantry/crypto/signature';
import { RpcClient } from '@tenantry/messaging/rpc';
import { Database } from '@tenantry/service/database';
import { verdictOf } from './attempt.js';

type Verdict = (typeof verdicts)[number];
interface Row {
  report: string;
  key_id: string;
  signature: string;
}
/** An answer must fit into a message. */
const PAGE_BYTES = 300_000;

/** Signed reports. What was signed is kept as text, so that it stays what it was. */
@Injectable()
export class Reports {
  constructor(
    private readonly database: Database,
    private readonly rpc: RpcClient,
  ) {}

  /** A repeat replaces the report: it is the newer truth of the same check. */
  async write(of: { checkId: string; tenantId: string; checkedAt: string; attempts: Attempt[] }): Promise<Verdict> {
    const verdict = verdictOf(of.attempts);
    const text = signedText({ ...of, verdict });
    const { keyId, signature } = await this.sign(text);
    await this.database.pool.query(
      `INSERT INTO provisioning.isolation_reports (check_id, tenant_id, checked_at, verdict, report, key_id, signature)
       VALUES ($1, $2, $3, $4, $5, $6, $7)
       ON CONFLICT (check_id, tenant_id) DO UPDATE SET checked_at = excluded.checked_at, verdict = excluded.verdict,
         report = excluded.report, key_id = excluded.key_id, signature = excluded.signature`,
      [of.checkId, of.tenantId, of.checkedAt, verdict, text, keyId, signature],
    );
    return verdict;
  }

  sign(text: string): Promise<{ keyId: string; signature: string }> {
    return this.rpc.call(signDocument, { purpose: 'isolation-report', text });
  }

  /** By tenant, as many as an answer holds; at least one where there is one. @param after the tenant that the page before ended with */
  async page(
    checkId: string,
    after: string | null,
    verdict: Verdict | undefined,
  ): Promise<{ reports: IsolationReport[]; isLast: boolean }> {
    const { rows } = await this.database.pool.query<Row>(
      `SELECT report, key_id, signature
       FROM (SELECT *, sum(octet_length(report)) OVER (ORDER BY tenant_id) - octet_length(report) AS before
             FROM (SELECT * FROM provisioning.isolation_reports
                   WHERE check_id = $1 AND ($2::uuid IS NULL OR tenant_id > $2) AND ($3::text IS NULL OR verdict = $3)
                   ORDER BY tenant_id LIMIT 200) listed) sized
       WHERE before < $4 ORDER BY tenant_id`,
      [checkId, after, verdict ?? null, PAGE_BYTES],
    );
    const reports = rows.map(reportOf);
    const last = reports.at(-1);
    if (!last) return { reports, isLast: true };
    const { rowCount } = await this.database.pool.query(
      'SELECT FROM provisioning.isolation_reports WHERE check_id = $1 AND tenant_id > $2 AND ($3::text IS NULL OR verdict = $3) LIMIT 1',
      [checkId, last.tenantId, verdict ?? null],
    );
    return { reports, isLast: rowCount === 0 };
  }

  async latestOf(tenantId: string): Promise<IsolationReport | null> {
    const { rows } = await this.database.pool.query<Row>(
      'SELECT report, key_id, signature FROM provisioning.isolation_reports WHERE tenant_id = $1 ORDER BY checked_at DESC LIMIT 1',
      [tenantId],
    );
    return rows[0] ? reportOf(rows[0]) : null;
  }

  /** The newest first. @param before where the page before ended */
  async checks(before: { checkedAt: string; id: string } | null, limit: number) {
    const { rows } = await this.database.pool.query<{ id: string; checkedAt: Date; held: number; breached: number }>(
      `SELECT check_id AS id, min(checked_at) AS "checkedAt", (count(*) FILTER (WHERE verdict = 'held'))::int AS held,
              (count(*) FILTER (WHERE verdict = 'breached'))::int AS breached
       FROM provisioning.isolation_reports GROUP BY check_id
       HAVING $1::timestamptz IS NULL OR (date_trunc('milliseconds', min(checked_at)), check_id) < ($1, $2::uuid)
       ORDER BY date_trunc('milliseconds', min(checked_at)) DESC, check_id DESC LIMIT $3`,
      [before?.checkedAt ?? null, before?.id ?? null, limit],
    );
    return rows.map(({ checkedAt, ...row }) => ({ ...row, checkedAt: checkedAt.toISOString() }));
  }

  /** Reports that are older go. */
  async expire(before: string): Promise<void> {
    await this.database.pool.query('DELETE FROM provisioning.isolation_reports WHERE checked_at < $1', [before]);
  }
}

const reportOf = ({ report, key_id: keyId, signature }: Row): IsolationReport => ({ ...JSON.parse(report), keyId, signature });
