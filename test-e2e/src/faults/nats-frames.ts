const lineEnd = Buffer.from('\r\n');

/**
 * Takes messages out of what a NATS server sends to a client. Give it the chunks of one connection, in order; what it gives back is to be
 * sent on. A message that isn't whole yet is kept until it is.
 */
export function withoutMessages(drops: (subject: string) => boolean): (chunk: Buffer) => Buffer {
  let rest: Buffer = Buffer.alloc(0);
  return (chunk) => {
    rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    const kept: Buffer[] = [];
    for (;;) {
      const end = rest.indexOf(lineEnd);
      if (end < 0) break;
      const [verb = '', subject = '', ...more] = rest.toString('latin1', 0, end).split(' ');
      const isMessage = verb === 'MSG' || verb === 'HMSG';
      const length = end + 2 + (isMessage ? Number(more.at(-1)) + 2 : 0);
      if (rest.length < length) break;
      if (!isMessage || !drops(subject)) kept.push(rest.subarray(0, length));
      rest = rest.subarray(length);
    }
    return Buffer.concat(kept);
  };
}
