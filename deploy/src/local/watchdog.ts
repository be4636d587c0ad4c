import { type ChildProcess, spawn } from 'node:child_process';

/**
 * Ends broker and database when the launcher was killed (services notice by themselves, see `leash.ts`).
 * A shell that waits for a line from the launcher: a word means that all is well, the end of the pipe that the launcher is gone.
 * Processes are told apart by the data folder's path in their command lines, since process ids are given again.
 */
const script = `
if read -r word; then exit 0; fi
sleep 4
for each in "$1/nats.pid:TERM" "$1/postgres.pid:INT"; do
  file=\${each%:*}; name=\${each##*:}
  [ -f "$file" ] || continue
  read -r pid <"$file" || continue
  line=$(tr '\\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null || ps -o args= -p "$pid")
  for mark in "$2" "$3"; do
    case $line in *"$mark"*) kill -s "$name" "$pid"; rm -f "$file";; esac
  done
done
`;

export interface Watchdog {
  dismiss(): void;
}

export function watchdog(pids: string, dataDir: string, clusterFolder: string): Watchdog {
  const child: ChildProcess = spawn('/bin/sh', ['-c', script, 'tenantry-watchdog', pids, dataDir, clusterFolder], {
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true,
    cwd: '/',
  });
  // It is there for an emergency only; without it the next start ends what is left.
  child.on('error', () => undefined);
  child.stdin?.on('error', () => undefined);
  child.unref();
  (child.stdin as unknown as { unref?(): void } | null)?.unref?.();
  return { dismiss: () => void child.stdin?.end('done\n') };
}
