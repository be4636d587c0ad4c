import type { Json } from './json-schema.js';

const escaped = (text: unknown): string => String(text).replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
/** The little Markdown that our texts use. */
const prose = (text: unknown): string =>
  escaped(text)
    .replace(/`([^`]+)`/g, '<code>$1</code>')
    .replace(/\n\n/g, '</p><p>');

/** The document as a page to read: no script, nothing from elsewhere. */
export function documentPage(document: Json): string {
  const operations = Object.entries(document['paths'] as Json).flatMap(([path, methods]) =>
    Object.entries(methods as Json).map(([method, operation]) => ({ path, method, ...(operation as Json) }) as Json),
  );
  const tags = (document['tags'] as Json[]).map(({ name }) => String(name));
  const sections = tags.map((tag) => {
    const own = operations.filter((operation) => operation['tags'].includes(tag));
    return `<section id="${anchor(tag)}"><h2>${escaped(tag)}</h2>${own.map((operation) => operationHtml(operation, document)).join('')}</section>`;
  });
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>Tenantry API</title><style>${STYLE}</style></head>
<body><header><h1>Tenantry API</h1><p>${prose(document['info'].description)}</p>
<p>Authenticate with <code>Authorization: Bearer &lt;API key&gt;</code>. Machine-readable: <a href="/openapi.json">/openapi.json</a>.</p></header>
<nav>${tags.map((tag) => `<a href="#${anchor(tag)}">${escaped(tag)}</a>`).join('')}</nav>
<main>${sections.join('\n')}</main></body></html>`;
}

const anchor = (tag: string): string => tag.toLowerCase().replace(/[^a-z0-9]+/g, '-');

function operationHtml(operation: Json, document: Json): string {
  const parameters = (operation['parameters'] as Json[])
    .map(
      (parameter) =>
        `<tr><td><code>${escaped(parameter['name'])}</code></td><td>${escaped(parameter['in'])}${parameter['required'] ? ', required' : ''}</td><td>${typeText(parameter['schema'], document)}</td><td>${prose(parameter['description'] ?? '')}</td></tr>`,
    )
    .join('');
  const body = operation['requestBody']?.content?.['application/json']?.schema as Json | undefined;
  const responses = Object.entries(operation['responses'] as Json)
    .filter(([status]) => status !== 'default')
    .map(([status, response]) => {
      const schema = Object.values((response as Json)['content'] ?? {})[0] as Json | undefined;
      return `<h4>${escaped(status)} ${escaped((response as Json)['description'])}</h4>${schema ? schemaHtml(schema['schema'], document) : ''}`;
    })
    .join('');
  return `<details id="${escaped(operation['operationId'])}"><summary><b class="${escaped(operation['method'])}">${escaped(operation['method'].toUpperCase())}</b> <code>${escaped(operation['path'])}</code> <span>${escaped(operation['summary'])}</span></summary>
<p>${prose(operation['description'])}</p>${parameters ? `<h4>Parameters</h4><table>${parameters}</table>` : ''}${body ? `<h4>Body${operation['requestBody'].required ? '' : ' (may be left out)'}</h4>${schemaHtml(body, document)}` : ''}${responses}</details>`;
}

const resolved = (schema: Json, document: Json): Json =>
  typeof schema['$ref'] === 'string' ? (document['components'].schemas[schema['$ref'].split('/').at(-1) as string] as Json) : schema;

function schemaHtml(given: Json, document: Json, depth = 0): string {
  const schema = resolved(given, document);
  if (schema['type'] === 'array')
    return `<p>${typeText(schema, document)}</p>${depth < 3 && schema['items'] ? schemaHtml(schema['items'], document, depth + 1) : ''}`;
  if (!schema['properties']) return depth === 0 ? `<p>${typeText(schema, document)}</p>` : '';
  const required = new Set<string>(schema['required'] ?? []);
  const rows = Object.entries(schema['properties'] as Json).map(([name, member]) => {
    const inner = resolved(member, document);
    const nested =
      depth < 3
        ? [inner, ...(inner['anyOf'] ?? []), inner['items']]
            .filter((part) => part?.properties)
            .map((part) => schemaHtml(part, document, depth + 1))
        : [];
    return `<tr><td><code>${escaped(name)}</code></td><td>${required.has(name) ? 'required' : ''}</td><td>${typeText(inner, document)}${nested.join('')}</td><td>${prose(inner['description'] ?? '')}</td></tr>`;
  });
  return `<table>${rows.join('')}</table>`;
}

function typeText(given: Json, document: Json): string {
  const schema = resolved(given, document);
  if (schema['const'] !== undefined) return `<code>${escaped(JSON.stringify(schema['const']))}</code>`;
  if (schema['enum']) return (schema['enum'] as unknown[]).map((value) => `<code>${escaped(JSON.stringify(value))}</code>`).join(' | ');
  const alternatives = (schema['anyOf'] ?? schema['oneOf']) as Json[] | undefined;
  if (alternatives) return [...new Set(alternatives.map((alternative) => typeText(alternative, document)))].join(' | ');
  if (schema['type'] === 'array') return `array of ${schema['items'] ? typeText(schema['items'], document) : 'anything'}`;
  const bounds = [
    schema['format'] && String(schema['format']),
    schema['minLength'] !== undefined && `≥ ${schema['minLength']} characters`,
    schema['maxLength'] !== undefined && `≤ ${schema['maxLength']} characters`,
    bounded(schema['minimum']) && `≥ ${schema['minimum']}`,
    bounded(schema['maximum']) && `≤ ${schema['maximum']}`,
  ].filter(Boolean);
  return escaped(`${schema['type'] ?? 'anything'}${bounds.length > 0 ? ` (${bounds.join(', ')})` : ''}`);
}
const bounded = (value: unknown): boolean => typeof value === 'number' && Math.abs(value) < Number.MAX_SAFE_INTEGER;

const STYLE = `body{font:15px/1.5 system-ui,sans-serif;max-width:72rem;margin:0 auto;padding:1rem;color:#1c2430;background:#fff}
nav{display:flex;flex-wrap:wrap;gap:.25rem 1rem;padding:.5rem 0;border-bottom:1px solid #d8dee6}a{color:#0b5cad}
details{border:1px solid #d8dee6;border-radius:6px;margin:.5rem 0;padding:0 .75rem}details[open]{padding-bottom:.75rem}summary{cursor:pointer;padding:.5rem 0}
summary span{color:#5b6675}b{display:inline-block;min-width:4rem;text-align:center;border-radius:4px;color:#fff;font-size:.8em}
.get{background:#1a6fb5}.post{background:#1f7a45}.put{background:#946200}.delete{background:#b3261e}
table{border-collapse:collapse;width:100%;font-size:.92em}td{border-top:1px solid #e6eaf0;padding:.25rem .5rem .25rem 0;vertical-align:top}
code{font:.92em ui-monospace,monospace;background:#f2f5f8;padding:0 .2em;border-radius:3px}h4{margin:.75rem 0 .25rem}
@media(prefers-color-scheme:dark){body{color:#e3e8ee;background:#12171d}details,nav{border-color:#2c3641}td{border-color:#232c36}code{background:#1d252e}a{color:#7db8f0}summary span{color:#9aa7b5}}`;
