/**
 * Does `work` every `everyMs` milliseconds, one round at a time: one that takes longer leaves out what would have begun meanwhile.
 * Keeps no process alive. After a failure the next round tries again.
 * @returns ends it, and resolves when the round under way is over
 */
export function every(everyMs: number, work: () => Promise<void>, failed: (error: unknown) => void): () => Promise<void> {
  let round: Promise<void> | null = null;
  const timer = setInterval(() => {
    round ??= work()
      .catch(failed)
      .finally(() => {
        round = null;
      });
  }, everyMs);
  timer.unref();
  return async () => {
    clearInterval(timer);
    await round;
  };
}
