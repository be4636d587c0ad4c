/** The part of its interface that the tests use: the package has no types. */
declare module 's3rver' {
  export default class S3rver {
    constructor(options: { port: number; address: string; silent: boolean; directory: string; configureBuckets: { name: string }[] });
    readonly httpServer: import('node:http').Server;
    callback(): (request: import('node:http').IncomingMessage, response: import('node:http').ServerResponse) => void;
    run(): Promise<{ address: string; port: number }>;
    close(): Promise<void>;
  }
}
