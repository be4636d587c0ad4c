import { afterAll, beforeAll, describe } from 'vitest';
import { eventStoreConformance } from '../../conformance.js';
import { CopyForTest, kurrentDbUrl } from './spec-support.js';

describe.skipIf(!kurrentDbUrl)('on a KurrentDB server', () => {
  let test: CopyForTest;
  beforeAll(async () => {
    test = await CopyForTest.start(kurrentDbUrl as string);
    test.follow();
  }, 90_000);
  afterAll(() => test?.stop());

  eventStoreConformance('KurrentDB', async (options) => test.store(options));
});
