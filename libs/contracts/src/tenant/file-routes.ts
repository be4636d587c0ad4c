import { z } from 'zod';
import { face, operation, route } from '../route.js';
import { PageQuery, page, Uuid } from '../values.js';

const base = '/api/v1/platform/tenants/:tenantId/files';
const common = { owner: 'provisioning', tag: 'Files', scope: 'platform' } as const;
const surface = { tag: 'Files', scope: 'tenant' } as const;

/** Of a file that is sent as JSON. */
export const MAX_FILE_BYTES = 512 * 1024;
/** What of a file travels in one message between processes; a message may have 1 MiB. */
export const FILE_PART_BYTES = 512 * 1024;
/** However slowly it comes. */
const UPLOAD_MS = 6 * 60 * 60 * 1_000;
const Key = z.string().min(1).max(1024).describe('Relative, parts between `/`, which a path has as %2F');
const ById = z.strictObject({ tenantId: Uuid });
const OfFile = z.strictObject({ tenantId: Uuid, key: Key });
const Content = z
  .base64()
  .max(Math.ceil(MAX_FILE_BYTES / 3) * 4)
  .describe('base64');
const FileInfo = z.object({ key: z.string(), bytes: z.number().int() });
const File = FileInfo.extend({ content: z.string().describe('base64') });

export const listFiles = route({
  ...common,
  name: 'files.list',
  summary: "The tenant's files, by key",
  permission: 'file:read',
  method: 'GET',
  path: base,
  params: ById,
  query: z.strictObject({ ...PageQuery, cursor: z.string().max(2_000).optional() }),
  answers: { 200: page(FileInfo) },
});
export const getFile = route({
  ...common,
  name: 'files.get',
  summary: 'A file with its content',
  permission: 'file:read',
  method: 'GET',
  path: `${base}/:key`,
  params: OfFile,
  answers: { 200: File },
});
export const putFile = route({
  ...common,
  name: 'files.put',
  summary: `Write a file of at most ${MAX_FILE_BYTES} bytes; it counts towards the quota storage`,
  permission: 'file:update',
  method: 'PUT',
  path: `${base}/:key`,
  params: OfFile,
  body: z.strictObject({ content: Content }),
  answers: { 200: FileInfo },
});
export const deleteFile = route({
  ...common,
  name: 'files.delete',
  summary: 'Delete a file; one that is not there is no error',
  permission: 'file:update',
  method: 'DELETE',
  path: `${base}/:key`,
  params: OfFile,
  answers: { 204: z.undefined() },
});
export const uploadFile = route({
  ...common,
  name: 'files.upload',
  summary: 'Write a file of any size from the raw body; it counts towards the quota storage',
  permission: 'file:update',
  method: 'PUT',
  path: `${base}/:key/content`,
  raw: 'upload',
  params: OfFile,
  /** Where the content is read (`readUpload`), and what the client says of it: null where it doesn't. */
  body: z.strictObject({
    gateway: Uuid,
    transferId: Uuid,
    bytes: z.number().int().min(0).nullable(),
    sha256: z
      .string()
      .regex(/^[0-9a-f]{64}$/)
      .nullable(),
  }),
  answers: { 200: FileInfo.extend({ sha256: z.string().describe('SHA-256 of the content, in hexadecimal') }) },
  timeoutMs: UPLOAD_MS,
});
export const downloadFile = route({
  ...common,
  name: 'files.download',
  summary: 'The content of a file, or a range of it',
  permission: 'file:read',
  method: 'GET',
  path: `${base}/:key/content`,
  raw: 'download',
  params: OfFile,
  query: z.strictObject({ offset: z.number().int().min(0), length: z.number().int().min(0).max(FILE_PART_BYTES) }),
  /** `bytes` and `etag` are those of the whole file, as it is now. */
  answers: { 200: z.object({ bytes: z.number().int(), etag: z.string(), content: z.string().describe('base64') }) },
});
export const fileRoutes = [listFiles, getFile, putFile, deleteFile, uploadFile, downloadFile];

/**
 * The part of an upload that begins at `offset`, as much as has come; empty where nothing came within a second. The same offset again gives
 * the same part. Only the first reader is served. @throws DomainError of what has ended the upload
 */
export const readUpload = operation({
  name: 'uploads.read',
  owner: 'gateway',
  callers: ['provisioning'],
  addressed: true,
  input: z.object({ transferId: Uuid, reader: Uuid, offset: z.number().int().min(0) }),
  output: z.object({ content: z.string().describe('base64'), end: z.boolean() }),
});

const own = '/api/tenants/:tenantId/files';
const same = { request: (input: { params: unknown; query: unknown; body: unknown }) => input, answer: (body: unknown) => body };
export const fileFaces = [
  face({
    ...surface,
    of: listFiles,
    summary: listFiles.summary,
    permission: 'file:read',
    method: 'GET',
    path: own,
    params: ById,
    query: listFiles.query,
    answers: { 200: z.array(FileInfo) },
    request: ({ params, query }) => ({ params, query }),
    answer: (body) => body.items,
  }),
  face({
    ...surface,
    ...same,
    of: getFile,
    summary: getFile.summary,
    permission: 'file:read',
    method: 'GET',
    path: `${own}/:key`,
    params: OfFile,
    answers: getFile.answers,
  }),
  face({
    ...surface,
    ...same,
    of: putFile,
    summary: putFile.summary,
    permission: 'file:update',
    method: 'PUT',
    path: `${own}/:key`,
    params: OfFile,
    body: putFile.body,
    answers: putFile.answers,
  }),
  face({
    ...surface,
    ...same,
    of: deleteFile,
    summary: deleteFile.summary,
    permission: 'file:update',
    method: 'DELETE',
    path: `${own}/:key`,
    params: OfFile,
    answers: deleteFile.answers,
  }),
  face({
    ...surface,
    ...same,
    of: uploadFile,
    summary: uploadFile.summary,
    permission: 'file:update',
    method: 'PUT',
    path: `${own}/:key/content`,
    params: OfFile,
    body: uploadFile.body,
    answers: uploadFile.answers,
  }),
  face({
    ...surface,
    ...same,
    of: downloadFile,
    summary: downloadFile.summary,
    permission: 'file:read',
    method: 'GET',
    path: `${own}/:key/content`,
    params: OfFile,
    query: downloadFile.query,
    answers: downloadFile.answers,
  }),
];
