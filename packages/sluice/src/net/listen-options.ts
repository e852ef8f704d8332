// What a listener can be told, and what it tells.
import type { Duration, Shutdown } from '../core/index.ts'
import type { Address } from './address.ts'

export interface ListenOptions {
  /** Drains and aborts the listener. Without it, only `close` does. */
  readonly shutdown?: Shutdown
  /**
   * Connections that the kernel holds before they are accepted; it caps this by its own limit (`somaxconn`).
   * @default 1024
   */
  readonly backlog?: number
  /**
   * Lets several processes listen on one address, and the kernel spread the connections over them.
   * @default false
   */
  readonly reusePort?: boolean
  /**
   * Connections served at once. Past it, new ones are held unread until a place is free.
   *
   * What is told is kept to, and should be within the limit on open files (two for a connection, all listeners together).
   * @default 16384, or what the limit on open files leaves room for if that is less, at two a connection. All listeners
   *   of the process share that room, so that together they don't run out of files
   */
  readonly maxConnections?: number
  /**
   * Connections held unread. Past it, new ones are refused with a reset, and counted.
   * @default 1024, or what the limit on open files leaves room for if that is less
   */
  readonly maxWaiting?: number
  /**
   * How long a connection is held unread before it is refused.
   * @default '10s'
   */
  readonly waitTimeout?: Duration
}

export interface ListenerCounts {
  readonly accepted: number
  readonly serving: number
  readonly waiting: number
  readonly refused: number
}

/** A bound listener. Disposing of it closes it. */
export interface Listener extends AsyncDisposable {
  /** What it listens on, with the port that the system chose for port 0. */
  readonly address: Address
  readonly counts: ListenerCounts
  /**
   * Stops accepting, lets what is in flight finish, and cuts it when the limit has passed. Settles when every
   * connection is closed and its service has settled; a service that does not settle although its connection was cut
   * is waited for one second. Called again, the earlier of the limits counts.
   *
   * @param limit how long it may take; 30 s unless told
   * @throws {SluiceError} `DURATION_INVALID`
   */
  close(limit?: Duration): Promise<void>
}
