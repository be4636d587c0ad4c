export type Json = Record<string, any>;

/** Recursive schemas (any JSON value) come with definitions of their own: inside a larger document they mean the same as any value. */
export function withoutDefinitions(json: Json): Json {
  const { $defs, definitions, ...rest } = json;
  if (!$defs && !definitions) return rest;
  return JSON.parse(JSON.stringify(rest), (key, value) =>
    key !== '' && typeof value === 'object' && value !== null && /^#\/(\$defs|definitions)\//.test(value.$ref ?? '') ? {} : value,
  ) as Json;
}
