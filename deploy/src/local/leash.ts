import { flushCompileCache } from 'node:module';

/**
 * Loaded into every service before its program. When the launcher is gone, whatever ended it, the service ends too.
 * The channel to the launcher serves only to notice that.
 */
process.once('disconnect', () => {
  process.kill(process.pid, 'SIGTERM');
  setTimeout(() => process.kill(process.pid, 'SIGKILL'), 12_000).unref();
});
process.channel?.unref();

// A process that is killed would never write its compiled code down.
setTimeout(flushCompileCache, 8_000).unref();
