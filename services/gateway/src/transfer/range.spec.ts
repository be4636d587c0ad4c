import { expect, it } from 'vitest';
import { rangeOf } from './range.js';

it.each([
  [undefined, null],
  ['bytes=0-0', { first: 0, last: 0 }],
  ['bytes=0-', { first: 0, last: 9 }],
  ['Bytes = 2 - 4', { first: 2, last: 4 }],
  ['bytes=2-100', { first: 2, last: 9 }],
  ['bytes=-3', { first: 7, last: 9 }],
  ['bytes=-100', { first: 0, last: 9 }],
  ['bytes=10-', 'not_satisfiable'],
  ['bytes=10-20', 'not_satisfiable'],
  ['bytes=-0', 'not_satisfiable'],
  // What is no single range of bytes is ignored.
  ['bytes=4-2', null],
  ['bytes=-', null],
  ['bytes=0-1,3-4', null],
  ['lines=0-1', null],
  ['bytes=0x1-2', null],
  ['bytes=9999999999999999999-', null],
])('of ten bytes %j asks for %j', (header, wanted) => {
  expect(rangeOf(header, 10)).toEqual(wanted);
});

it.each(['bytes=0-', 'bytes=-1'])('of nothing there is no %s', (header) => {
  expect(rangeOf(header, 0)).toBe('not_satisfiable');
});
