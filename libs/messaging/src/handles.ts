import { type ArgumentsHost, Catch, type RpcExceptionFilter, UseFilters } from '@nestjs/common';
import { Ctx, MessagePattern, Payload } from '@nestjs/microservices';
import type { Operation, Route } from '@tenantry/contracts/route';
import { type Observable, throwError } from 'rxjs';
import type { z } from 'zod';
import type { Call, Caller } from './rpc.js';
import { servedSubject } from './rpc-wire.js';

/** Nest would turn what a handler throws into "Internal server error"; the server that called it does better. */
@Catch()
class AsThrown implements RpcExceptionFilter {
  catch(error: unknown, _host: ArgumentsHost): Observable<never> {
    return throwError(() => error);
  }
}
const asThrown = new AsThrown();

type RouteMethod<R extends Route> = (call: Call<R>) => unknown;
type OperationMethod<I> = (input: I, caller: Caller) => unknown;

/** What a handler serves: found by the server in the extras of its message pattern. */
export interface Served {
  contract: Route | Operation;
}

/**
 * This method of a controller answers a route (`(call) => Answer`) or an operation (`(input, caller) => output`).
 * Before it runs, the caller, the token, the input and the permission have been checked; what it throws reaches the caller
 * as the same DomainError, anything else as `internal.error`.
 */
export function Handles<R extends Route>(
  route: R,
): <M extends RouteMethod<R>>(target: object, key: string | symbol, descriptor: TypedPropertyDescriptor<M>) => void;
export function Handles<O extends Operation>(
  operation: O,
): <M extends OperationMethod<z.infer<O['input']>>>(target: object, key: string | symbol, descriptor: TypedPropertyDescriptor<M>) => void;
export function Handles(contract: Route | Operation) {
  return (target: object, key: string | symbol, descriptor: PropertyDescriptor): void => {
    const extras: Served = { contract };
    MessagePattern(servedSubject(contract), extras)(target, key, descriptor);
    Payload()(target, key as string, 0);
    Ctx()(target, key as string, 1);
    UseFilters(asThrown)(target, key, descriptor);
  };
}
