// Builds a service from layers, written in the order in which traffic flows through them.
import type { Layer, Service } from './service.ts'

/**
 * Layers waiting for the service at their end. `In` is what the finished service takes, `Current` what has been
 * proved about the input so far, `Out` what it answers. Each call gives a new stack: a common beginning can be shared.
 */
export interface Stack<In, Current, Out> {
  /** Adds a layer below those already there. What it needs must have been given by `In` or a layer above. */
  layer<Adds>(layer: Layer<Current, Adds, Out>): Stack<In, Current & Adds, Out>
  /** Looks at the input as it passes, to log or count it; is waited for. What it throws ends the input's way down. */
  tap(look: (input: Current) => void): Stack<In, Current, Out>
  /** Ends the stack with the service that answers, and folds it to a single service, once. */
  service(service: Service<Current, Out>): Service<In, Out>
}

// biome-ignore lint/suspicious/noExplicitAny: inside, the layers' types have been proved by the interface already
type AnyLayer = Layer<any, any, any>

/**
 * Begins a stack.
 *
 * @example
 * ```ts
 * await listen(':8443', {}, stack<Connection>()      // 1. a connection is accepted
 *   .layer(acceptProxyHeader({ trust: ['private'] })) // 2. adds `proxied`
 *   .layer(acceptTls({ certificate: selfSigned() }))  // 3. adds `tls`
 *   .service(forward('127.0.0.1:8080')))              // 4. needs a connection, and may read both
 * ```
 */
export function stack<In, Out = void>(): Stack<In, In, Out> {
  return build<In, In, Out>([])
}

function build<In, Current, Out>(layers: readonly AnyLayer[]): Stack<In, Current, Out> {
  return {
    layer: <Adds>(layer: Layer<Current, Adds, Out>) => build<In, Current & Adds, Out>([...layers, layer]),
    tap: look => build<In, Current, Out>([...layers, tapping(look)]),
    service: service =>
      layers.reduceRight<Service<never, Out>>(
        (next, layer) => layer(next as Service<unknown, Out>),
        service,
      ) as Service<In, Out>,
  }
}

function tapping<Input>(look: (input: Input) => void): AnyLayer {
  return next => input => {
    const looked: unknown = look(input)
    return looked instanceof Promise ? looked.then(() => next(input)) : next(input)
  }
}
