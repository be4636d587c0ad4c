import type { Json } from './json-schema.js';

const content = { 'application/octet-stream': { schema: { type: 'string', format: 'binary' } } };
const header = (name: string, description: string): Json => ({
  ...{ name, in: 'header', required: false, description },
  schema: { type: 'string' },
});
const described = (description: string): Json => ({ description, schema: { type: 'string' } });
const problem = { $ref: '#/components/responses/Problem' };

/** What is particular to a route with a file's content instead of JSON. @param written the schema of an upload's answer */
export const contentOperation = (raw: 'upload' | 'download', inPath: Json[], written: () => Json): Json =>
  raw === 'upload' ? upload(inPath, written()) : download(inPath);

const upload = (inPath: Json[], written: Json): Json => ({
  parameters: [
    ...inPath,
    header('Content-Digest', 'SHA-256 of the content, `sha-256=:<base64>:` (RFC 9530): where it is another, nothing changes.'),
  ],
  requestBody: {
    required: true,
    description: 'The content as it is, of any type but `application/json`; with `Content-Length` or in chunks.',
    content,
  },
  responses: {
    200: { description: 'Written', content: { 'application/json': { schema: written } } },
    default: problem,
  },
});

const download = (inPath: Json[]): Json => ({
  parameters: [
    ...inPath,
    header('Range', 'One range of bytes, such as `bytes=0-499`.'),
    header('If-Range', 'ETag: of another content all of it is sent.'),
    header('If-Match', 'ETag that the content must have.'),
    header('If-None-Match', 'ETag that the caller has already.'),
  ],
  responses: {
    200: { description: 'The content', headers: { ETag: described('Of the content, strong') }, content },
    206: {
      description: 'The range',
      headers: { ETag: described('Of the whole content, strong'), 'Content-Range': described('Which range it is, and of how many bytes') },
      content,
    },
    304: { description: 'The caller has it already' },
    416: problem,
    default: problem,
  },
});
