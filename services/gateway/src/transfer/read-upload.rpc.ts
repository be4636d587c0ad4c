import { Controller } from '@nestjs/common';
import { readUpload } from '@tenantry/contracts/tenant/file-routes';
import { Handles } from '@tenantry/messaging/handles';
import type { z } from 'zod';
import { Uploads } from './uploads.js';

@Controller()
export class ReadUploadRpc {
  constructor(private readonly uploads: Uploads) {}

  @Handles(readUpload)
  async read({ transferId, reader, offset }: z.infer<typeof readUpload.input>): Promise<z.infer<typeof readUpload.output>> {
    const { content, end } = await this.uploads.read(transferId, reader, offset);
    return { content: content.toString('base64'), end };
  }
}
