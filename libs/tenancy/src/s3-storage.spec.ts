import crypto from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { temporaryFolder } from '@tenantry/testing/tmp';
import S3rver from 's3rver';
import { expect, it } from 'vitest';
import { S3Storage } from './s3-storage.js';
import { storageConformance } from './storage-conformance.js';

// The server makes the tokens of its pages with a cipher that OpenSSL has no more. Any other does as well.
const sixteen = (bytes: unknown) => Buffer.alloc(16, bytes as Buffer);
for (const name of ['createCipheriv', 'createDecipheriv'] as const) {
  const make = crypto[name] as (algorithm: string, ...keys: unknown[]) => unknown;
  (crypto as Record<string, unknown>)[name] = (algorithm: string, ...keys: unknown[]) =>
    algorithm === 'des' ? make('aes-128-cbc', ...keys.slice(0, 2).map(sixteen)) : make(algorithm, ...keys);
}

/** The server's own, fixed ones. */
const credentials = { accessKeyId: 'S3RVER', secretAccessKey: 'S3RVER' };

type Handler = (request: IncomingMessage, response: ServerResponse) => void;

/** What the server lacks: it takes files in parts, and can neither list what has begun nor end it. */
function withUploads(serve: Handler): Handler {
  const begun = new Map<string, string>();
  return (request, response) => {
    const { pathname, searchParams } = new URL(request.url ?? '', 'http://server');
    const key = decodeURIComponent(pathname).replace('/files/', '');
    const uploadId = searchParams.get('uploadId');
    if (request.method === 'GET' && searchParams.has('uploads')) {
      const found = [...begun].filter(([, of]) => of.startsWith(searchParams.get('prefix') ?? ''));
      const items = found.map(([id, of]) => `<Upload><Key>${of}</Key><UploadId>${id}</UploadId></Upload>`).join('');
      response.setHeader('content-type', 'application/xml');
      response.end(`<ListMultipartUploadsResult><IsTruncated>false</IsTruncated>${items}</ListMultipartUploadsResult>`);
    } else if (request.method === 'DELETE' && uploadId !== null) {
      response.statusCode = begun.delete(uploadId) ? 204 : 404;
      response.end();
    } else {
      if (request.method === 'POST' && uploadId !== null) begun.delete(uploadId);
      if (request.method === 'POST' && searchParams.has('uploads')) {
        const end = response.end.bind(response) as (body: unknown) => ServerResponse;
        response.end = ((body: unknown) => {
          const id = /<UploadId>([^<]+)/.exec(String(body))?.[1];
          if (id !== undefined) begun.set(id, key);
          return end(body);
        }) as never;
      }
      serve(request, response);
    }
  };
}

/** A server of the protocol, with files on disk. It checks who asks, but not every signature. */
async function server() {
  const folder = await temporaryFolder();
  const s3 = new S3rver({ port: 0, address: '127.0.0.1', silent: true, directory: folder.path, configureBuckets: [{ name: 'files' }] });
  const { port } = await s3.run();
  s3.httpServer.removeAllListeners('request').on('request', withUploads(s3.callback()));
  const place = { bucket: 'files', prefix: 'a/b/', region: 'us-east-1', endpoint: `http://127.0.0.1:${port}`, pathStyle: true };
  return {
    place,
    close: async () => {
      await s3.close();
      await folder.remove();
    },
  };
}

storageConformance(
  'S3',
  async () => {
    const { place, close } = await server();
    return { storage: new S3Storage(place, credentials), close };
  },
  // Two whole parts and a rest.
  17 * 1024 * 1024,
);

it('is refused with other credentials, and says so', async () => {
  const { place, close } = await server();
  try {
    const storage = new S3Storage(place, { ...credentials, accessKeyId: 'other' });
    await expect(storage.allocate('6f1d3c52-7c0e-4c0a-9d5e-1f5a8f3c2b77')).rejects.toThrow(/access key/i);
  } finally {
    await close();
  }
});
