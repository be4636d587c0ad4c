import type { Manifest } from './overlays.js';

interface Model {
  prototype: { validate(): void };
}

/**
 * Validates a document against the schema of its kind, as `kubectl apply` has it done: unknown fields are faults too.
 * The validators of kubernetes-models read each field that they know and no other, so a field that nobody read is unknown.
 * @returns the faults; none when it is valid
 */
export async function faultsOf(manifest: Manifest): Promise<string[]> {
  const model = await modelOf(manifest);
  if (!model) return [`${manifest.apiVersion} ${manifest.kind} is no kind that Kubernetes has`];
  const unread = new Map<object, { path: string; keys: Set<string> }>();
  try {
    model.prototype.validate.call(watch(manifest, '', unread));
  } catch (error) {
    return [(error as Error).message];
  }
  return [...unread.values()].flatMap(({ path, keys }) => [...keys].map((key) => `${path}/${key} is not known`));
}

async function modelOf({ apiVersion, kind }: Manifest): Promise<Model | undefined> {
  try {
    return ((await import(`kubernetes-models/${apiVersion}/${kind}`)) as Record<string, Model>)[kind];
  } catch (error) {
    if (/is not exported|Cannot find/.test(String(error))) return undefined;
    throw error;
  }
}

function watch<T extends object>(target: T, path: string, unread: Map<object, { path: string; keys: Set<string> }>): T {
  const keys = new Set(Array.isArray(target) ? [] : Object.keys(target));
  unread.set(target, { path, keys });
  const children = new Map<PropertyKey, object>();
  return new Proxy(target, {
    get(object, key) {
      if (typeof key === 'string') keys.delete(key);
      const value: unknown = Reflect.get(object, key);
      if (value === null || typeof value !== 'object') return value;
      const child = children.get(key) ?? watch(value, `${path}/${String(key)}`, unread);
      children.set(key, child);
      return child;
    },
    // A map, such as labels: any key will do.
    ownKeys(object) {
      keys.clear();
      return Reflect.ownKeys(object);
    },
  });
}
