import { startSystem } from './system.js';

/** One system for all the specs that don't break it. */
export default async function setup() {
  const system = await startSystem();
  process.env['TENANTRY_E2E_DATA_DIR'] = system.dataDir;
  return async () => {
    const code = await system.stop();
    if (code !== 0) throw new Error(`the launcher ended with ${code}:\n${system.output()}`);
  };
}
