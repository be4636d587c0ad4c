import slugify from '@sindresorhus/slugify';

const MAX = 50;
const cut = (slug: string, length: number) => slug.slice(0, length).replace(/-+$/, '');

/**
 * URL-safe names made from a tenant's name, best first: the plain one, with a small number, with a part of the
 * tenant's id (which nobody else has). The same for the same arguments.
 */
export function slugCandidates(name: string, tenantId: string): string[] {
  const made = cut(slugify(name, { decamelize: false }), MAX);
  const unique = tenantId.replaceAll('-', '').slice(0, 10);
  if (made.length < 2) return [`tenant-${unique}`];
  return [made, `${cut(made, MAX - 2)}-2`, `${cut(made, MAX - 11)}-${unique}`];
}
