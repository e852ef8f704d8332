// The layer that reads a PROXY header before anyone else reads the connection.
import {
  type Duration,
  isSluiceError,
  type Layer,
  logger,
  oneOf,
  type Size,
  SluiceError,
  timeLimit,
} from '../core/index.ts'
import { type Connection, type Head, type NetworkSet, networks, readHead } from '../net/index.ts'
import { longestHeader, parseVersion } from './codec.ts'
import type { ProxyHeader } from './header.ts'
import { type MaybeProxied, type Proxied, proxiedInfo } from './proxied.ts'
import { describeBeginning, versionOf } from './signature.ts'
import { tlvKinds } from './tlvs.ts'

/**
 * What is done with a header, by who sent it:
 *
 * | policy | trusted, header | trusted, none | untrusted, header | untrusted, none |
 * |---|---|---|---|---|
 * | `require` | believed | refused | refused | refused |
 * | `use` | believed | passes | refused | passes |
 * | `ignore` | taken off, not believed | passes | refused | passes |
 * | `reject` | refused | passes | refused | passes |
 * | `skip` | not looked at | not looked at | not looked at | not looked at |
 *
 * `require` refuses an untrusted peer at once, without reading. `use`, `ignore` and `reject` have to see the first
 * bytes, so that a client that waits for the server to speak first is refused when the time is over: what would come
 * later might be a header. Below `skip` a header is payload, and a backend that trusts this proxy may believe it.
 */
export type ProxyPolicy = (typeof POLICIES)[number]

const POLICIES = ['require', 'use', 'ignore', 'reject', 'skip'] as const

export interface AcceptProxyHeaderOptions<Policy extends ProxyPolicy = ProxyPolicy> {
  /**
   * Whose headers are believed: the addresses of the load balancers in front, as CIDRs (`10.0.0.0/8`), addresses,
   * `loopback`, `private` or `unix`. There is no default, because whoever is trusted can claim to be anyone.
   */
  readonly trust: readonly string[]
  /** @default 'require' */
  readonly policy?: Policy
  /**
   * How long the header may take. The specification asks for 3 seconds at least, which outlast a lost TCP segment.
   * @default '3s'
   */
  readonly timeout?: Duration
  /**
   * The longest v2 header that is taken. The line of v1 has 107 bytes at most anyway.
   * @default '16kb', which is what HAProxy takes by default
   */
  readonly maxLength?: Size
  /**
   * Refuses headers without a checksum, and so all of v1. One that is there is verified in any case.
   * @default false
   */
  readonly requireCrc32c?: boolean
}

/** What the layer adds: only `require` can promise that there is a header. */
export type ProxiedBy<Policy extends ProxyPolicy> = [Policy] extends ['require'] ? Proxied : MaybeProxied

const log = logger('proxy-protocol')

/**
 * Reads the PROXY header (v1 or v2) that a load balancer writes before the client's first byte, and sets `proxied`. It
 * stands above everything that reads the connection: TLS, HTTP, a relay. What came behind the header goes on untouched.
 *
 * The connection is refused with `PROXY_HEADER_MISSING`, `PROXY_HEADER_MALFORMED`, `PROXY_HEADER_TOO_LARGE`,
 * `PROXY_HEADER_CHECKSUM`, `PROXY_HEADER_TIMEOUT`, `PROXY_HEADER_UNTRUSTED` or `PROXY_HEADER_REJECTED`, or ends with
 * `DOWNSTREAM_CLOSED` or `DOWNSTREAM_RESET` before its header was complete.
 *
 * @example
 * ```ts
 * stack<Connection>()
 *   .layer(acceptProxyHeader({ trust: ['10.0.0.0/8'] }))
 *   .tap(({ peer, proxied }) => log.info(`${proxied.source} came through ${peer}`))
 * ```
 * @throws {SluiceError} `CIDR_INVALID`, `DURATION_INVALID`, `SIZE_INVALID`, `OPTION_INVALID`
 */
export function acceptProxyHeader<const Policy extends ProxyPolicy = 'require'>(
  options: AcceptProxyHeaderOptions<Policy>,
): Layer<Connection, ProxiedBy<Policy>> {
  const rules: Rules = {
    trust: networks(options.trust),
    policy: oneOf('policy', options.policy ?? 'require', POLICIES),
    timeout: timeLimit('timeout', options.timeout ?? '3s'),
    longest: longestHeader(options.maxLength),
    requireCrc32c: options.requireCrc32c ?? false,
  }
  // The types promise `proxied` to the services below; it is set here on the very same object.
  type Target = Connection & { proxied?: unknown }

  return next =>
    async function acceptProxyHeader(input) {
      const connection: Target = input
      const header = await readHeader(connection, rules)
      if (header !== undefined) {
        const proxied = proxiedInfo(header, connection)
        connection.proxied = proxied
        if (log.isLevelEnabled('debug')) {
          log.debug({ connection: connection.id, peer: connection.peer, proxied }, 'PROXY header believed')
        }
      }
      return next(input as typeof input & ProxiedBy<Policy>)
    }
}

interface Rules {
  readonly trust: NetworkSet
  readonly policy: ProxyPolicy
  readonly timeout: number
  readonly longest: number
  readonly requireCrc32c: boolean
}

/** The header that is to be believed; undefined if there is none. Throws if the connection is to be refused. */
async function readHeader(connection: Connection, rules: Rules): Promise<ProxyHeader | undefined> {
  if (rules.policy === 'skip') return undefined
  const trusted = rules.trust.has(connection.peer)
  if (!trusted && rules.policy === 'require') refuseUntrusted(connection, rules)
  try {
    return await readHead(
      connection.socket,
      // The parser ends it at its own limits, with better words.
      { timeout: rules.timeout, limit: rules.longest + 1, what: 'a PROXY header' },
      bytes => judge(bytes, connection, trusted, rules),
    )
  } catch (cause) {
    if (!isSluiceError(cause, 'PEEK_TIMEOUT')) throw cause
    throw new SluiceError(
      'PROXY_HEADER_TIMEOUT',
      `${connection.peer} sent no complete PROXY header within ${rules.timeout} ms; does the load balancer write one?`,
      { cause },
    )
  }
}

function judge(
  bytes: Buffer,
  connection: Connection,
  trusted: boolean,
  rules: Rules,
): Head<ProxyHeader | undefined> | undefined {
  const version = versionOf(bytes)
  if (version === undefined) return undefined
  if (version === 'none') {
    if (rules.policy !== 'require') return NO_HEADER
    throw new SluiceError(
      'PROXY_HEADER_MISSING',
      `the connection of ${connection.peer} began with ${describeBeginning(bytes)}, not with a PROXY header; connect through the load balancer, or make it write one`,
    )
  }
  if (rules.policy === 'reject') {
    throw new SluiceError(
      'PROXY_HEADER_REJECTED',
      `${connection.peer} sent a PROXY v${version} header, and the policy here is to reject connections that bring one`,
    )
  }
  // Without looking further: who is not trusted is not worth parsing for.
  if (!trusted) refuseUntrusted(connection, rules, version)
  const head = parseVersion(version, bytes, rules.longest)
  if (head === undefined) return undefined
  if (rules.requireCrc32c && head.value.tlvs.get(tlvKinds.crc32c) === undefined) {
    throw new SluiceError(
      'PROXY_HEADER_CHECKSUM',
      `${connection.peer} sent a PROXY v${version} header without a CRC32C, which is required here`,
    )
  }
  return rules.policy === 'ignore' ? { value: undefined, consumed: head.consumed } : head
}

const NO_HEADER: Head<undefined> = { value: undefined, consumed: 0 }

function refuseUntrusted(connection: Connection, rules: Rules, version?: 1 | 2): never {
  const did =
    version === undefined ? 'connected where a PROXY header is required' : `sent a PROXY v${version} header`
  throw new SluiceError(
    'PROXY_HEADER_UNTRUSTED',
    `${connection.peer} ${did}, and it is not in \`trust\` (${rules.trust}); add it if it is your load balancer`,
  )
}
