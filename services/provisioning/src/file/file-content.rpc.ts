import { type BeforeApplicationShutdown, Controller } from '@nestjs/common';
import { DomainError } from '@tenantry/contracts/errors';
import { downloadFile, uploadFile } from '@tenantry/contracts/tenant/file-routes';
import { TenantLog } from '@tenantry/event-store/tenant-log';
import { Handles } from '@tenantry/messaging/handles';
import { type Call, type Reply, RpcClient } from '@tenantry/messaging/rpc';
import { Environment } from '@tenantry/service/environment';
import { TransferSlots } from '@tenantry/service/transfer-slots';
import { Storage } from '@tenantry/tenancy/storage';
import { demandTenant } from './known-tenant.js';
import { TenantFiles } from './tenant-files.js';
import { openUpload } from './upload-content.js';

/** A tenant leaves room for others. */
const SHARE = 4;

/** Files of any size: an upload is read here from the gateway, as long as it lasts; a download is asked for part by part, of any process. */
@Controller()
export class FileContentRpc implements BeforeApplicationShutdown {
  private readonly uploads: TransferSlots;
  private going = false;

  constructor(
    private readonly files: TenantFiles,
    private readonly storage: Storage,
    private readonly log: TenantLog,
    private readonly rpc: RpcClient,
    private readonly environment: Environment,
  ) {
    const inAll = environment.values.TENANTRY_UPLOADS;
    this.uploads = new TransferSlots(Math.ceil(inAll / SHARE), inAll, [
      'tenantry_uploads_in_flight',
      "Tenants' files that are being written",
    ]);
  }

  /** Who waits for the rest of an upload would wait too long. */
  beforeApplicationShutdown(): void {
    this.going = true;
  }

  @Handles(uploadFile)
  async upload({ tenantId, params: { key }, body }: Call<typeof uploadFile>): Reply<typeof uploadFile> {
    await demandTenant(this.log, tenantId);
    this.refuseTooLarge(body.bytes ?? 0);
    const giveBack = await this.uploads.begin(tenantId);
    try {
      const content = await openUpload(this.rpc, body, () => this.refuseGoing());
      return { status: 200, body: { key, ...(await this.files.receive(tenantId, key, this.bounded(content), body)) } };
    } finally {
      giveBack();
    }
  }

  @Handles(downloadFile)
  async download({ tenantId, params: { key }, query: { offset, length } }: Call<typeof downloadFile>): Reply<typeof downloadFile> {
    const part = await this.storage.part(tenantId, key, offset, length);
    if (!part) throw new DomainError('file.not_found');
    return { status: 200, body: { ...part, content: part.content.toString('base64') } };
  }

  private async *bounded(content: AsyncIterable<Buffer>): AsyncIterable<Buffer> {
    let bytes = 0;
    for await (const part of content) {
      bytes += part.length;
      this.refuseTooLarge(bytes);
      yield part;
    }
  }

  private refuseTooLarge(bytes: number): void {
    const most = this.environment.values.TENANTRY_FILE_MAX_BYTES;
    if (bytes > most) throw new DomainError('file.too_large', { detail: `A file may have ${most} bytes` });
  }

  private refuseGoing(): void {
    if (this.going)
      throw new DomainError('service.unavailable', { detail: 'The upload was interrupted: send it again', retryAfterSeconds: 1 });
  }
}
