const schemes = new Map([
  ['esdb', 'esdb'],
  ['esdb+discover', 'esdb+discover'],
  ['kurrentdb', 'esdb'],
  ['kurrentdb+discover', 'esdb+discover'],
]);

/** The form that a connection string has. */
export const connectionStrings =
  'esdb://host:port for one server or esdb+discover://name:port for a cluster (kurrentdb:// is the same), with ?tls=false where the server has no TLS';

/** What is wrong with a connection string, without any part of it (it may hold a password); null where nothing is. */
export function connectionFault(url: string): string | null {
  const match = /^([a-z+]+):\/\/(?:([^:@/?]+):([^@/?]+)@)?([^@/?]+)\/?(\?.*)?$/.exec(url.trim());
  if (!match || !schemes.has(match[1] as string)) return 'is not a connection string of KurrentDB';
  if ((match[4] as string).split(',').some((host) => !/^[^:\s]+(:\d{1,5})?$/.test(host))) return 'names no host, or a port that is none';
  // An append that is refused must never look like one that was done.
  return /[?&]throw[_-]?on[_-]?append[_-]?failure=/i.test(url) ? 'must not set throwOnAppendFailure' : null;
}

/** As the client takes it, with what every connection of ours has. */
export function rewritten(url: string, name: string): string {
  const [scheme = '', rest = ''] = url.trim().split('://', 2);
  let text = `${schemes.get(scheme)}://${rest}`;
  const add = (option: string, value: string) => {
    if (new RegExp(`[?&]${option}=`, 'i').test(text)) return;
    text += `${text.includes('?') ? '&' : '?'}${option}=${value}`;
  };
  add('connectionName', encodeURIComponent(name));
  // Everything here needs the leader; any other node would send each call on to it.
  add('nodePreference', 'leader');
  return text;
}
