import { join } from 'node:path';
import { LocalStorage } from '@tenantry/tenancy/local-storage';
import { s3Place } from '@tenantry/tenancy/s3-place';
import type { Storage } from '@tenantry/tenancy/storage';
import type { ProcessEnvironment } from './config.js';

/** Where tenants' files are. The client of S3 is loaded only where it is used: it is bigger than most services. */
export async function openStorage(values: Pick<ProcessEnvironment, 'TENANTRY_DATA_DIR' | 'TENANTRY_STORAGE_URL'>): Promise<Storage> {
  if (values.TENANTRY_STORAGE_URL === undefined) return new LocalStorage(join(values.TENANTRY_DATA_DIR, 'storage'));
  const { S3Storage } = await import('@tenantry/tenancy/s3-storage');
  return new S3Storage(s3Place(values.TENANTRY_STORAGE_URL));
}
