import { newId } from '@tenantry/contracts/ids';
import { readUpload } from '@tenantry/contracts/tenant/file-routes';
import type { RpcClient } from '@tenantry/messaging/rpc';

export interface UploadPlace {
  /** The gateway's process that has the client's connection. */
  gateway: string;
  transferId: string;
}

/**
 * What a client sends, read part by part from the gateway that it sends it to: whoever doesn't ask for more gets no more, and the client
 * waits. The first part is read at once: by that the gateway knows its one reader.
 * @param stopped throws where nothing more is to be read
 * @throws DomainError of what has ended the upload
 */
export async function openUpload(
  rpc: RpcClient,
  { gateway, transferId }: UploadPlace,
  stopped: () => void,
): Promise<AsyncIterable<Buffer>> {
  const reader = newId();
  const read = async (offset: number) => {
    stopped();
    const { content, end } = await rpc.call(readUpload, { transferId, reader, offset }, { at: gateway });
    return { content: Buffer.from(content, 'base64'), end };
  };
  const first = await read(0);
  return (async function* () {
    let offset = 0;
    for (let part = first; ; part = await read(offset)) {
      offset += part.content.length;
      if (part.content.length > 0) yield part.content;
      if (part.end) return;
    }
  })();
}
