// Loaded before a process's program (`--import`): in the one that TENANTRY_FAULT_POISONED names, an event with this name in it ends the
// process as soon as somebody makes JSON of it, without a word and without an error that anybody could catch.
const victim = `/services/${process.env['TENANTRY_FAULT_POISONED']}/`;
if (process.argv[1]?.includes(victim)) {
  const stringify = JSON.stringify.bind(JSON) as (...given: unknown[]) => string;
  JSON.stringify = ((...given: unknown[]) => {
    const text = stringify(...given);
    if (text?.includes('deadly.setting')) process.kill(process.pid, 'SIGKILL');
    return text;
  }) as typeof JSON.stringify;
}
