/** Where files are kept in S3, or in what speaks its protocol. */
export interface S3Place {
  bucket: string;
  /** Empty, or ends in `/`. */
  prefix: string;
  region: string;
  /** Of another server than AWS's. */
  endpoint?: string;
  /** The bucket is the first part of the path, not of the host. */
  pathStyle: boolean;
}

/**
 * `s3://<bucket>/<prefix>?region=…&endpoint=https://…&path-style=true`. No credentials: these are not for URLs.
 * @throws Error that says what is wrong with it
 */
export function s3Place(text: string): S3Place {
  const url = URL.parse(text);
  if (url?.protocol !== 's3:' || url.hostname === '') throw new Error('must be s3://<bucket>/<prefix>?region=<region>');
  if (url.username !== '' || url.password !== '')
    throw new Error('must hold no credentials: give AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a role');
  const unknown = [...url.searchParams.keys()].find((name) => !['region', 'endpoint', 'path-style'].includes(name));
  if (unknown !== undefined) throw new Error(`has the unknown parameter ${unknown}; region, endpoint and path-style are known`);
  const region = url.searchParams.get('region');
  if (!region) throw new Error('must name the region: ?region=…');
  const endpoint = url.searchParams.get('endpoint') ?? undefined;
  if (endpoint !== undefined && !/^https?:$/.test(URL.parse(endpoint)?.protocol ?? ''))
    throw new Error('has an endpoint that is no http(s) URL');
  const pathStyle = url.searchParams.get('path-style') ?? 'false';
  if (pathStyle !== 'true' && pathStyle !== 'false') throw new Error('path-style is true or false');
  const path = decodeURIComponent(url.pathname).replace(/^\/+|\/+$/g, '');
  return { bucket: url.hostname, prefix: path === '' ? '' : `${path}/`, region, endpoint, pathStyle: pathStyle === 'true' };
}
