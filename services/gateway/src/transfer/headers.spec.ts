import { describe, expect, it } from 'vitest';
import { announcedBy, describing } from './headers.js';

describe('of what is sent', () => {
  it('the length is known where it is said, or where there is nothing', () => {
    expect(announcedBy({ 'content-length': '12' })).toEqual({ bytes: 12, sha256: null });
    expect(announcedBy({ 'transfer-encoding': 'chunked' })).toEqual({ bytes: null, sha256: null });
    expect(announcedBy({})).toEqual({ bytes: 0, sha256: null });
  });
  it('a SHA-256 is taken, among others too', () => {
    const sha256 = Buffer.alloc(32, 7);
    const one = `sha-256=:${sha256.toString('base64')}:`;
    for (const header of [one, `sha-512=:${Buffer.alloc(64).toString('base64')}:, ${one}`])
      expect(announcedBy({ 'content-digest': header, 'content-length': '0' }).sha256).toBe(sha256.toString('hex'));
    expect(announcedBy({ 'repr-digest': one }).sha256).toBe(sha256.toString('hex'));
    for (const header of ['', 'sha-256=abc', 'md5=:AAAA:', one.replace('=:', '=')])
      expect(() => announcedBy({ 'content-digest': header }), header).toThrow(expect.objectContaining({ code: 'request.invalid' }));
  });
  it('JSON and what is encoded are refused', () => {
    for (const headers of [{ 'content-type': 'Application/JSON; charset=utf-8' }, { 'content-encoding': 'gzip' }])
      expect(() => announcedBy(headers)).toThrow(expect.objectContaining({ code: 'request.unsupported_media_type' }));
  });
});

describe('a file', () => {
  it('is described by its name', () => {
    expect(describing('reports/May.PDF')).toEqual({
      'content-type': 'application/pdf',
      'content-disposition': `attachment; filename="May.PDF"; filename*=UTF-8''May.PDF`,
    });
    for (const key of ['x', 'x.constructor', '.pdf/x', 'x.']) expect(describing(key)['content-type']).toBe('application/octet-stream');
  });
  it('has a name that breaks out of no header', () => {
    const header = describing('a/ü "b\\;%\'(1).txt')['content-disposition'];
    expect(header).toBe(`attachment; filename="_ _b_;_'(1).txt"; filename*=UTF-8''%C3%BC%20%22b%5C%3B%25%27%281%29.txt`);
  });
});
