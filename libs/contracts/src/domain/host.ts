import { domainToASCII, domainToUnicode } from 'node:url';
import { invalidField } from '../errors.js';
import type { DomainRequest } from '../tenant/events.js';

/** What a caller writes for a host name: a name, or a name with wishes. */
export type HostInput = string | { type?: 'subdomain' | 'custom'; value: string; ssl?: boolean };

/** Labels below the base domain that belong to the platform, or that mail and browsers look up by themselves. */
const RESERVED = new Set(
  (
    'www www1 www2 api admin administrator console app mail email smtp imap pop pop3 webmail ftp sftp ssh vpn ns ns1 ns2 ns3 ns4 mx dns ' +
    'edge gateway auth login logout signin signup sso oauth account accounts id status static assets cdn ' +
    'root system localhost internal platform security abuse postmaster hostmaster webmaster noreply wpad isatap autodiscover autoconfig'
  ).split(' '),
);

/**
 * Suffixes below which different owners register names: nobody owns the suffix itself. The frequent ones only;
 * what the list lacks can't be verified by its claimant anyway, since ownership is proven in the suffix's own zone.
 */
const SECOND_LEVEL = new Set('ac co com edu gob gov gouv ltd me mil ne net nom or org plc sch'.split(' '));
const SHARED_HOSTS = new Set(
  (
    'github.io gitlab.io netlify.app vercel.app pages.dev workers.dev herokuapp.com azurewebsites.net cloudfront.net ' +
    'web.app firebaseapp.com appspot.com blogspot.com myshopify.com ngrok.io ngrok.app fly.dev onrender.com'
  ).split(' '),
);
/** Top-level names that never lead anywhere in the public DNS (RFC 6761, RFC 7686, and the private ones). */
const UNROUTABLE = new Set(['arpa', 'internal', 'invalid', 'local', 'onion']);

const LABEL = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;
const LETTERS = /^[\p{L}\p{M}\p{N}·-]+$/u;
const LATIN = /\p{Script=Latin}/u;
// The "highly restrictive" profile of Unicode TS #39: Latin goes with Chinese, Japanese or Korean and with nothing else.
const WITH_LATIN = [
  /^[\p{Script=Latin}\p{Script=Common}\p{Script=Inherited}\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}]*$/u,
  /^[\p{Script=Latin}\p{Script=Common}\p{Script=Inherited}\p{Script=Han}\p{Script=Bopomofo}]*$/u,
  /^[\p{Script=Latin}\p{Script=Common}\p{Script=Inherited}\p{Script=Han}\p{Script=Hangul}]*$/u,
];
const CYRILLIC = /\p{Script=Cyrillic}/u;
const GREEK = /\p{Script=Greek}/u;
/** Cyrillic and Greek letters that look like Latin ones. */
const LOOKALIKES = /^[аԁеһіјӏорԛѕԝхуѵсαικνορυχω0-9-]+$/u;

const mixesScripts = (label: string): boolean =>
  LATIN.test(label) ? !WITH_LATIN.some((profile) => profile.test(label)) : CYRILLIC.test(label) && GREEK.test(label);

/** The host as people read it: `bücher.example` for `xn--bcher-kva.example`. */
export const unicodeHost = (host: string): string => domainToUnicode(host) || host;

/**
 * One canonical form for every spelling of a host name: lower case, punycode, no trailing dot.
 * A name without a dot, or one below `baseDomain`, is a subdomain of the platform (one label, exclusive at once);
 * any other is a custom host, whose ownership is to be proven.
 * @throws DomainError `domain.invalid`; the field is `domain`, or `domain.value` for the object form
 */
export function normalizeHost(input: HostInput, baseDomain: string): DomainRequest {
  const field = typeof input === 'string' ? 'domain' : 'domain.value';
  const wish = typeof input === 'string' ? { value: input } : input;
  const refuse = (rule: string, message: string) => invalidField(field, rule, message, 'domain.invalid');

  const base = domainToASCII(baseDomain).replace(/\.$/, '');
  // Full stops of other scripts are dots (UTS #46); they decide here already whether the name has one.
  const written = wish.value.replace(/[。.。]/gu, '.').replace(/\.$/, '');
  if (written === '' || written.length > 253) throw refuse('length', 'must have 1 to 253 characters');
  if (/[\s/\\@:?#%[\]]/u.test(written)) throw refuse('host_name', 'must be a host name without scheme, port or path');
  // A lone label is completed first: by itself `123` would be read as an IPv4 address.
  const lone = !written.includes('.');
  const host = domainToASCII(lone ? `${written}.${base}` : written);
  if (host === '') throw refuse('host_name', 'must be a host name');
  if (host.length > 253) throw refuse('length', 'must not be longer than 253 characters as ASCII');
  if (host === base) throw refuse('reserved', 'is the platform itself; choose a name below it');
  const ssl = wish.ssl ?? true;

  const labels = host.split('.');
  for (const label of labels) {
    if (!LABEL.test(label))
      throw refuse('label', 'each part must have 1 to 63 letters, digits or hyphens, and must not begin or end with a hyphen');
  }
  if (/^[0-9]+$/.test(labels.at(-1) as string)) throw refuse('ip_address', 'must be a name, not an IP address');
  const readable = unicodeHost(host).split('.');
  for (const label of readable) {
    if (label.startsWith('xn--')) throw refuse('punycode', 'is not a valid international name');
    if (!LETTERS.test(label)) throw refuse('label', 'must consist of letters, digits and hyphens');
    if (mixesScripts(label)) throw refuse('mixed_scripts', 'must not mix letters of different scripts in one part: they can be mistaken');
  }

  if (host.endsWith(`.${base}`)) {
    const [label = '', ...deeper] = host.slice(0, -base.length - 1).split('.');
    if (deeper.length > 0) throw refuse('one_label', `must be a single name below ${base}`);
    if (RESERVED.has(label)) throw refuse('reserved', `"${label}" is reserved; choose another name`);
    const shown = readable[0] as string;
    if (label.startsWith('xn--') && LOOKALIKES.test(shown))
      throw refuse('confusable', 'consists of letters that cannot be told from Latin ones; choose another name');
    if (wish.type === 'custom') throw refuse('type', `is below ${base}, so it is a subdomain`);
    return { type: 'subdomain', host, ssl };
  }

  if (wish.type === 'subdomain') throw refuse('type', `must be a name without a dot, or one below ${base}`);
  const top = labels.at(-1) as string;
  if (base.endsWith(`.${host}`)) throw refuse('reserved', 'belongs to the platform');
  // On a developer's machine everything lives below .localhost; elsewhere it would lead visitors to themselves.
  if (UNROUTABLE.has(top) || (top === 'localhost' && !base.endsWith('localhost')))
    throw refuse('not_routable', `names below .${top} do not lead anywhere`);
  const suffix = labels.length === 2 && top.length === 2 && SECOND_LEVEL.has(labels[0] as string);
  if (suffix || SHARED_HOSTS.has(host)) throw refuse('public_suffix', 'must be a name of your own, not a suffix that many share');
  return { type: 'custom', host, ssl };
}
