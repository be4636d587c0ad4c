/** A thin HTTP client for tests: never throws on a status, always gives the parsed body. */
export interface Reply<B = any> {
  status: number;
  body: B;
  headers: Headers;
  text: string;
}

export interface Api {
  key: string;
  base: string;
  get<B = any>(path: string, headers?: Record<string, string>): Promise<Reply<B>>;
  post<B = any>(path: string, body?: unknown, headers?: Record<string, string>): Promise<Reply<B>>;
  put<B = any>(path: string, body: unknown, headers?: Record<string, string>): Promise<Reply<B>>;
  delete<B = any>(path: string, headers?: Record<string, string>): Promise<Reply<B>>;
  raw(method: string, path: string, init?: { headers?: Record<string, string>; body?: string | Buffer }): Promise<Reply>;
  /** The same server with another key. */
  as(key: string): Api;
}

export function api(base: string, key: string): Api {
  const raw: Api['raw'] = async (method, path, init = {}) => {
    const response = await fetch(base + path, { method, headers: init.headers, body: init.body, redirect: 'manual' });
    const text = await response.text();
    let body: unknown;
    try {
      body = text === '' ? undefined : JSON.parse(text);
    } catch {
      body = undefined; // not JSON: the test looks at `text`
    }
    return { status: response.status, body, headers: response.headers, text };
  };
  const send = (method: string, path: string, body: unknown, headers: Record<string, string> = {}) =>
    raw(method, path, {
      headers: { authorization: `Bearer ${key}`, ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...headers },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
  return {
    key,
    base,
    raw,
    get: (path, headers) => send('GET', path, undefined, headers),
    post: (path, body, headers) => send('POST', path, body, headers),
    put: (path, body, headers) => send('PUT', path, body, headers),
    delete: (path, headers) => send('DELETE', path, undefined, headers),
    as: (other) => api(base, other),
  };
}
