import { z } from 'zod';
import { face, route } from '../route.js';
import { PageQuery, page, Uuid } from '../values.js';

const base = '/api/v1/platform/tenants/:tenantId/files';
const common = { owner: 'provisioning', tag: 'Files', scope: 'platform' } as const;
const surface = { tag: 'Files', scope: 'tenant' } as const;

/** Of a file that is sent as JSON. */
export const MAX_FILE_BYTES = 512 * 1024;
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
export const fileRoutes = [listFiles, getFile, putFile, deleteFile];

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
];
