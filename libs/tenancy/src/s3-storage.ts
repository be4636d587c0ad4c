import { Readable } from 'node:stream';
import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  DeleteObjectsCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListMultipartUploadsCommand,
  type ListMultipartUploadsCommandOutput,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
  S3ServiceException,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import type { S3Place } from './s3-place.js';
import { isUuid } from './sql.js';
import { type FilePage, type FilePart, Storage } from './storage.js';
import { segmentsOf } from './storage-key.js';

/** S3 takes parts of at least 5 MiB, but for the last, and at most 10,000 of them: 80 GB a file. */
const PART_BYTES = 8 * 1024 * 1024;

/**
 * Files of tenants in a bucket: `<prefix>tenants/<tenant id>/<key>`. That a tenant may have files says an object of its own,
 * `<prefix>allocated/<tenant id>`: after `release` no late `put` brings the prefix back. At most two parts are in memory at once.
 * Credentials come from where every AWS client looks for them: the environment, a role of the machine or of the pod.
 */
export class S3Storage extends Storage {
  readonly #client: S3Client;
  readonly #bucket: string;
  readonly #prefix: string;

  constructor({ bucket, prefix, region, endpoint, pathStyle }: S3Place, credentials?: { accessKeyId: string; secretAccessKey: string }) {
    super();
    this.#bucket = bucket;
    this.#prefix = prefix;
    this.#client = new S3Client({
      region,
      endpoint,
      forcePathStyle: pathStyle,
      credentials,
      // Other servers than AWS's know the older checksums only.
      requestChecksumCalculation: 'WHEN_REQUIRED',
      responseChecksumValidation: 'WHEN_REQUIRED',
    });
  }

  override async allocate(tenantId: string): Promise<void> {
    await this.#client.send(new PutObjectCommand({ ...this.#allocated(tenantId), Body: Buffer.alloc(0), ContentLength: 0 }));
  }

  /** @throws Error where the prefix was not allocated, or was released meanwhile */
  override async put(
    tenantId: string,
    key: string,
    content: Buffer | Readable,
    ready?: (bytes: number) => Promise<void>,
  ): Promise<{ bytes: number }> {
    const object = this.#object(tenantId, key);
    await this.#demandAllocation(tenantId);
    const bytes = await this.#upload(object, content, ready);
    try {
      await this.#demandAllocation(tenantId);
    } catch (error) {
      // Released while it was sent: what came after the sweep of the prefix would stay for ever.
      await this.#client.send(new DeleteObjectCommand(object));
      throw error;
    }
    return { bytes };
  }

  override async abandon(tenantId: string, key: string): Promise<void> {
    const { Key } = this.#object(tenantId, key);
    await this.#abort(Key, (found) => found === Key);
  }

  override async unfinished(tenantId: string): Promise<number> {
    let found = 0;
    for await (const page of this.#unfinished(this.#folder(tenantId))) found += page.length;
    return found;
  }

  override async get(tenantId: string, key: string): Promise<Buffer | null> {
    const found = await this.#get(tenantId, key);
    return found && Buffer.from(await found.transformToByteArray());
  }

  override async read(tenantId: string, key: string): Promise<Readable | null> {
    return (await this.#get(tenantId, key)) as Readable | null;
  }

  override async part(tenantId: string, key: string, offset: number, length: number): Promise<FilePart | null> {
    const object = this.#object(tenantId, key);
    try {
      if (length > 0) {
        const found = await this.#client.send(new GetObjectCommand({ ...object, Range: `bytes=${offset}-${offset + length - 1}` }));
        const bytes = Number(/\/(\d+)$/.exec(found.ContentRange ?? '')?.[1]);
        if (!found.Body || !found.ETag || !Number.isSafeInteger(bytes)) throw new Error('The bucket answered without a range of the file');
        return { bytes, etag: found.ETag, content: Buffer.from(await found.Body.transformToByteArray()) };
      }
    } catch (error) {
      if (isMissing(error)) return null;
      // It ends before: what it is says the other question.
      if (!(error instanceof S3ServiceException && error.$metadata.httpStatusCode === 416)) throw error;
    }
    return this.#whole(object);
  }

  override async size(tenantId: string, key: string): Promise<number | null> {
    try {
      return (await this.#client.send(new HeadObjectCommand(this.#object(tenantId, key)))).ContentLength ?? 0;
    } catch (error) {
      if (isMissing(error)) return null;
      throw error;
    }
  }

  override async *list(tenantId: string): AsyncIterable<{ key: string; bytes: number }> {
    const prefix = this.#folder(tenantId);
    for await (const page of this.#pages(prefix)) for (const { key, bytes } of page) yield { key: key.slice(prefix.length), bytes };
  }

  /** Buckets list in that order (S3's directory buckets don't: they are no place for these files). */
  override async page(tenantId: string, after: string, limit: number): Promise<FilePage> {
    const prefix = this.#folder(tenantId);
    const { Contents = [], IsTruncated } = await this.#client.send(
      new ListObjectsV2Command({
        Bucket: this.#bucket,
        Prefix: prefix,
        MaxKeys: limit,
        ...(after === '' ? {} : { StartAfter: prefix + after }),
      }),
    );
    const files = Contents.map(({ Key, Size }) => ({ key: (Key as string).slice(prefix.length), bytes: Size ?? 0 }));
    return { files, more: IsTruncated === true };
  }

  override async delete(tenantId: string, key: string): Promise<void> {
    await this.#client.send(new DeleteObjectCommand(this.#object(tenantId, key)));
  }

  override async release(tenantId: string): Promise<void> {
    await this.#client.send(new DeleteObjectCommand(this.#allocated(tenantId)));
    await this.#abort(this.#folder(tenantId), () => true);
    // From the beginning each time: what was listed is gone, so a page never comes again.
    for (;;) {
      const { value: page } = await this.#pages(this.#folder(tenantId)).next();
      if (!page || page.length === 0) return;
      const { Errors } = await this.#client.send(
        new DeleteObjectsCommand({ Bucket: this.#bucket, Delete: { Objects: page.map(({ key }) => ({ Key: key })), Quiet: true } }),
      );
      if (Errors?.[0]) throw new Error(`The bucket did not delete a file: ${Errors[0].Code}`);
    }
  }

  async #get(tenantId: string, key: string) {
    try {
      const { Body } = await this.#client.send(new GetObjectCommand(this.#object(tenantId, key)));
      if (!Body) throw new Error('The bucket answered without a body');
      return Body;
    } catch (error) {
      if (isMissing(error)) return null;
      throw error;
    }
  }

  async #whole(object: { Bucket: string; Key: string }): Promise<FilePart | null> {
    try {
      const { ContentLength, ETag } = await this.#client.send(new HeadObjectCommand(object));
      if (!ETag) throw new Error('The bucket answered without an entity tag');
      return { bytes: ContentLength ?? 0, etag: ETag, content: Buffer.alloc(0) };
    } catch (error) {
      if (isMissing(error)) return null;
      throw error;
    }
  }

  async #abort(prefix: string, which: (key: string) => boolean): Promise<void> {
    for await (const page of this.#unfinished(prefix)) {
      const left = page.filter(({ Key }) => which(Key));
      await Promise.all(
        left.map((upload) =>
          this.#client.send(new AbortMultipartUploadCommand({ Bucket: this.#bucket, ...upload })).catch((error: unknown) => {
            // Whoever was at it has ended it himself.
            if (!isMissing(error)) throw error;
          }),
        ),
      );
    }
  }

  /** Of a server that can't list them nothing is known: its own rule ends what was left. */
  async *#unfinished(prefix: string): AsyncGenerator<{ Key: string; UploadId: string }[], void> {
    let after: { KeyMarker?: string; UploadIdMarker?: string } | null = {};
    while (after !== null) {
      try {
        const page: ListMultipartUploadsCommandOutput = await this.#client.send(
          new ListMultipartUploadsCommand({ Bucket: this.#bucket, Prefix: prefix, MaxUploads: 1_000, ...after }),
        );
        yield (page.Uploads ?? []).map(({ Key, UploadId }) => ({ Key: Key as string, UploadId: UploadId as string }));
        after = page.IsTruncated ? { KeyMarker: page.NextKeyMarker, UploadIdMarker: page.NextUploadIdMarker } : null;
      } catch (error) {
        if (error instanceof S3ServiceException && error.$metadata.httpStatusCode === 501) return;
        throw error;
      }
    }
  }

  async #upload(
    object: { Bucket: string; Key: string },
    content: Buffer | Readable,
    ready?: (bytes: number) => Promise<void>,
  ): Promise<number> {
    const parts = Buffer.isBuffer(content) ? Readable.from([content]) : content;
    const source = inParts(parts);
    const first = await source.next();
    const second = first.done ? first : await source.next();
    if (second.done) {
      const body = first.done ? Buffer.alloc(0) : first.value;
      await ready?.(body.length);
      await this.#client.send(new PutObjectCommand({ ...object, Body: body, ContentLength: body.length }));
      return body.length;
    }
    const { UploadId } = await this.#client.send(new CreateMultipartUploadCommand(object));
    const upload = { ...object, UploadId };
    try {
      const sent: { PartNumber: number; ETag: string | undefined }[] = [];
      let bytes = 0;
      for await (const part of joined([first.value as Buffer, second.value], source)) {
        const PartNumber = sent.length + 1;
        const { ETag } = await this.#client.send(new UploadPartCommand({ ...upload, PartNumber, Body: part }));
        sent.push({ PartNumber, ETag });
        bytes += part.length;
      }
      await ready?.(bytes);
      await this.#client.send(new CompleteMultipartUploadCommand({ ...upload, MultipartUpload: { Parts: sent } }));
      return bytes;
    } catch (error) {
      // The error that ended the upload is the one to tell; a bucket's own rule ends uploads that were left.
      await this.#client.send(new AbortMultipartUploadCommand(upload)).catch(() => undefined);
      throw error;
    }
  }

  async #demandAllocation(tenantId: string): Promise<void> {
    try {
      await this.#client.send(new HeadObjectCommand(this.#allocated(tenantId)));
    } catch (error) {
      throw isMissing(error) ? new Error('The tenant has no place for files', { cause: error }) : error;
    }
  }

  async *#pages(prefix: string): AsyncGenerator<{ key: string; bytes: number }[], void> {
    let token: string | undefined;
    do {
      const page = await this.#client.send(
        new ListObjectsV2Command({ Bucket: this.#bucket, Prefix: prefix, ContinuationToken: token, MaxKeys: 1_000 }),
      );
      yield (page.Contents ?? []).map(({ Key, Size }) => ({ key: Key as string, bytes: Size ?? 0 }));
      token = page.IsTruncated ? page.NextContinuationToken : undefined;
    } while (token !== undefined);
  }

  #folder(tenantId: string): string {
    if (!isUuid(tenantId)) throw new Error('Not a tenant id');
    return `${this.#prefix}tenants/${tenantId}/`;
  }
  #object(tenantId: string, key: string): { Bucket: string; Key: string } {
    return { Bucket: this.#bucket, Key: this.#folder(tenantId) + segmentsOf(key).join('/') };
  }
  #allocated(tenantId: string): { Bucket: string; Key: string } {
    if (!isUuid(tenantId)) throw new Error('Not a tenant id');
    return { Bucket: this.#bucket, Key: `${this.#prefix}allocated/${tenantId}` };
  }
}

const isMissing = (error: unknown): boolean => error instanceof S3ServiceException && error.$metadata.httpStatusCode === 404;

async function* joined(first: Buffer[], rest: AsyncIterable<Buffer>): AsyncIterable<Buffer> {
  yield* first;
  yield* rest;
}

/** The same bytes in parts of one size; the last may be smaller. */
async function* inParts(content: Readable): AsyncGenerator<Buffer, void> {
  let held: Buffer[] = [];
  let size = 0;
  for await (const chunk of content) {
    const bytes = Buffer.isBuffer(chunk) ? chunk : Buffer.from(chunk as Uint8Array | string);
    held.push(bytes);
    size += bytes.length;
    while (size >= PART_BYTES) {
      const all = Buffer.concat(held, size);
      yield all.subarray(0, PART_BYTES);
      held = [all.subarray(PART_BYTES)];
      size -= PART_BYTES;
    }
  }
  if (size > 0) yield Buffer.concat(held, size);
}
