import { expect, it } from 'vitest';
import { s3Place } from './s3-place.js';

it('reads bucket, prefix and server from a URL', () => {
  expect(s3Place('s3://files?region=eu-central-1')).toEqual({ bucket: 'files', prefix: '', region: 'eu-central-1', pathStyle: false });
  expect(s3Place('s3://files/a/b/?region=x&endpoint=http://127.0.0.1:9000&path-style=true')).toEqual({
    bucket: 'files',
    prefix: 'a/b/',
    region: 'x',
    endpoint: 'http://127.0.0.1:9000',
    pathStyle: true,
  });
});

it.each([
  ['', 's3://'],
  ['https://files?region=x', 's3://'],
  ['s3://files', 'region'],
  ['s3://key:secret@files?region=x', 'credentials'],
  ['s3://files?region=x&acl=public', 'acl'],
  ['s3://files?region=x&endpoint=ftp://x', 'endpoint'],
  ['s3://files?region=x&path-style=yes', 'path-style'],
])('refuses %j', (text, why) => {
  expect(() => s3Place(text)).toThrow(why);
});
