// The two contracts that everything else is built from: a service answers an input, a layer wraps a service.

/**
 * A function from an input (a connection, a request, a target) to an output, now or later.
 *
 * `In` is contravariant: a service that asks for less can stand wherever more is given.
 */
export type Service<in In, out Out = void> = (input: In) => Out | Promise<Out>

/**
 * Wraps a service to make another. A layer states what it `Needs` on its input and what it `Adds` to it for the
 * services below; the compiler refuses a stack in which something is read that nothing above provided.
 *
 * At run time a layer sets what it adds on the input object itself and hands the same object on.
 *
 * @example
 * ```ts
 * const timed: Layer<Connection> = next => async connection => {
 *   const started = performance.now()
 *   try {
 *     return await next(connection)
 *   } finally {
 *     console.log(`${connection.id} took ${performance.now() - started} ms`)
 *   }
 * }
 * ```
 */
// biome-ignore lint/suspicious/noExplicitAny: `Out` is invariant, and only `any` lets a layer that does not care about it fit every stack
export type Layer<in Needs, out Adds = unknown, in out Out = any> = <In extends Needs, O extends Out>(
  next: Service<In & Adds, O>,
) => Service<In, O>
