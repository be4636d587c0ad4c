/** What a key is bound to when the KMS wraps it. */
export const tenantContext = (tenantId: string, version: number): string => `tenant/${tenantId}/${version}`;
export const signingContext = (kid: string): string => `signing/${kid}`;
