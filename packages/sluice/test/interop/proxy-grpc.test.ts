// gRPC through the reverse proxy: @grpc/grpc-js at both ends, which speaks HTTP/2 with trailers, and ends calls in all ways.
import { createHash } from 'node:crypto'
import {
  type ChannelOptions,
  Client,
  type ClientUnaryCall,
  credentials,
  Metadata,
  type MethodDefinition,
  type ServiceError,
  status,
} from '@grpc/grpc-js'
import { configureLogging } from 'sluice'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { type Edge, edgeCertificate, startEdge, stopEdges } from '../support/edge.ts'
import { BytesService, type GrpcPlaces } from '../support/grpc-service.ts'
import { startNodeProgram } from '../support/node-origin.ts'
import { freePort } from '../support/peers.ts'

configureLogging({ directives: 'off' })

const { lines, stop } = startNodeProgram('grpc-origin-process.ts')
const edges = new Map<string, Edge>()
const clients: Client[] = []
const said = new Set<string>()
const waiting = new Set<() => void>()
let count = 0

/** Settled when the origin has written a line. */
async function heard(line: string): Promise<void> {
  while (!said.has(line)) await new Promise<void>(wake => waiting.add(wake))
}

beforeAll(async () => {
  const { ports, ca }: GrpcPlaces = JSON.parse((await lines.next()).value ?? '{}')
  edges.set('h2c', await startEdge(`h2c://127.0.0.1:${ports.h2c}`))
  edges.set('tls', await startEdge(`https://localhost:${ports.tls}`, { tls: { ca } }))
  void (async () => {
    for await (const line of lines) {
      said.add(line)
      for (const wake of waiting) wake()
      waiting.clear()
    }
  })()
})

afterEach(() => {
  for (const client of clients.splice(0)) client.close()
})

afterAll(async () => {
  await stopEdges()
  stop()
})

const WAYS = [
  { name: 'TLS to an origin in clear', to: 'h2c', at: 'secure' },
  { name: 'TLS to an origin with TLS', to: 'tls', at: 'secure' },
  { name: 'no TLS', to: 'h2c', at: 'plain' },
] as const

interface Answer {
  readonly message: Buffer
  /** The metadata that came before it, and behind. */
  readonly first: Metadata | undefined
  readonly last: Metadata | undefined
}

const LIMITS = { 'grpc.max_receive_message_length': -1, 'grpc.max_send_message_length': -1 }

describe.each(WAYS)('gRPC with $name', ({ to, at }) => {
  async function connect(options: ChannelOptions = {}): Promise<Client> {
    const { host } = new URL(edges.get(to)?.[at] ?? '')
    const { cert } = await edgeCertificate()
    const how = at === 'secure' ? credentials.createSsl(Buffer.from(cert)) : credentials.createInsecure()
    // A channel of its own: others would share the connection of an earlier one.
    const client = new Client(host, how, { 'grpc.use_local_subchannel_pool': 1, ...LIMITS, ...options })
    clients.push(client)
    return client
  }

  function ask(
    client: Client,
    { path, requestSerialize, responseDeserialize }: MethodDefinition<Buffer, Buffer>,
    message: Buffer | string,
    { metadata = new Metadata(), deadline = 20_000, call = (_call: ClientUnaryCall) => {} } = {},
  ): Promise<Answer> {
    return new Promise((resolve, reject) => {
      let first: Metadata | undefined
      let last: Metadata | undefined
      let answer = Buffer.alloc(0)
      const made = client.makeUnaryRequest(
        path,
        requestSerialize,
        responseDeserialize,
        Buffer.from(message),
        metadata,
        { deadline: Date.now() + deadline },
        (error, value) => {
          if (error !== null) reject(error)
          else answer = Buffer.from(value ?? '')
        },
      )
      made.on('metadata', came => {
        first = came
      })
      made.on('status', ({ code, metadata: came }) => {
        last = came
        // The callback comes before or after.
        if (code === status.OK) setImmediate(() => resolve({ message: answer, first, last }))
      })
      call(made)
    })
  }

  it('unary calls, of all sizes', async () => {
    const client = await connect()
    for (const size of [0, 1, 16_379, 16_384, 65_536, 1_000_000, 4 * 1024 * 1024]) {
      const sent = Buffer.alloc(size, 'message')
      expect((await ask(client, BytesService.echo, sent)).message.equals(sent)).toBe(true)
    }
  })

  it('a hundred calls at once', async () => {
    const client = await connect()
    const sent = Array.from({ length: 100 }, (_, index) => `call ${index}`)
    const got = await Promise.all(sent.map(message => ask(client, BytesService.echo, message)))
    expect(got.map(({ message }) => String(message))).toEqual(sent)
  })

  it('streams from the client', async () => {
    const { path, requestSerialize, responseDeserialize } = BytesService.collect
    const client = await connect()
    const answer = await new Promise<Buffer>((resolve, reject) => {
      const call = client.makeClientStreamRequest(
        path,
        requestSerialize,
        responseDeserialize,
        (error, value) => (error === null ? resolve(value ?? Buffer.alloc(0)) : reject(error)),
      )
      for (let index = 0; index < 200; index++) call.write(Buffer.alloc(10_000, index))
      call.end()
    })
    const hash = createHash('sha256')
    for (let index = 0; index < 200; index++) hash.update(Buffer.alloc(10_000, index))
    expect(JSON.parse(String(answer))).toEqual({ count: 200, bytes: 2_000_000, sha256: hash.digest('hex') })
  })

  it('streams from the server', async () => {
    const { path, requestSerialize, responseDeserialize } = BytesService.repeat
    const client = await connect()
    const call = client.makeServerStreamRequest(
      path,
      requestSerialize,
      responseDeserialize,
      Buffer.from('200 20000'),
    )
    let index = 0
    for await (const message of call) {
      expect(message.equals(Buffer.alloc(20_000, index))).toBe(true)
      index++
    }
    expect(index).toBe(200)
  })

  it('streams both ways, each message answered before the next is sent', async () => {
    const { path, requestSerialize, responseDeserialize } = BytesService.chat
    const client = await connect()
    const call = client.makeBidiStreamRequest(path, requestSerialize, responseDeserialize)
    const ended = new Promise<{ code: number; metadata: Metadata }>(resolve => call.on('status', resolve))
    const answers = call[Symbol.asyncIterator]()
    for (let index = 0; index < 50; index++) {
      call.write(Buffer.from(`message ${index}`))
      expect(String((await answers.next()).value)).toBe(`message ${index}`)
    }
    call.end()
    expect((await answers.next()).done).toBe(true)
    const { code, metadata } = await ended
    expect([code, metadata.get('x-twice')]).toEqual([status.OK, ['one, two']])
  })

  it('metadata before and behind the message, both ways, and the time that is left', async () => {
    const client = await connect()
    const metadata = new Metadata()
    metadata.add('x-text', 'from the client')
    metadata.add('x-bytes-bin', Buffer.from('bytes'))
    const { message, first, last } = await ask(client, BytesService.told, '', { metadata, deadline: 15_000 })
    const { left, ...told } = JSON.parse(String(message))
    expect(told).toEqual({
      text: ['from the client'],
      bytes: ['bytes'],
      host: new URL(edges.get(to)?.[at] ?? '').host,
      for: ['127.0.0.1'],
    })
    expect(left).toBeGreaterThan(5000)
    expect(left).toBeLessThanOrEqual(15_000)
    for (const came of [first, last]) {
      expect(came?.get('x-text')).toEqual(['a b'])
      expect(came?.get('x-twice').join(', ')).toBe('one, two')
      expect(came?.get('x-bytes-bin')).toEqual([Buffer.from([0, 255, 13, 10])])
    }
  })

  it('errors without a message, with their details and metadata', async () => {
    const client = await connect()
    for (const code of [1, 3, 5, 8, 13, 16]) {
      const failed: ServiceError = await ask(client, BytesService.fail, `${code} because: 100 % ü`).then(
        () => {
          throw new Error('it did not fail')
        },
        error => error,
      )
      expect([failed.code, failed.details]).toEqual([code, 'because: 100 % ü'])
      expect(failed.metadata.get('x-text')).toEqual(['a b'])
    }
  })

  it('an error behind messages', async () => {
    const { path, requestSerialize, responseDeserialize } = BytesService.failLate
    const client = await connect()
    const call = client.makeServerStreamRequest(path, requestSerialize, responseDeserialize, Buffer.alloc(0))
    const got: string[] = []
    call.on('data', (message: Buffer) => got.push(String(message)))
    const failed = await new Promise<ServiceError>(resolve =>
      call.on('error', error => resolve(error as ServiceError)),
    )
    expect([got, failed.code, failed.details]).toEqual([['one', 'two'], status.ABORTED, 'after two'])
  })

  it('a deadline that passes, of which the server hears', async () => {
    const client = await connect()
    const name = `deadline ${count++}`
    const failed = ask(client, BytesService.hang, name, { deadline: 300 })
    await expect(failed).rejects.toMatchObject({ code: status.DEADLINE_EXCEEDED })
    await heard(`cancelled ${name}`)
  })

  it('a call that the client cancels, of which the server hears', async () => {
    const client = await connect()
    const name = `cancel ${count++}`
    let call: ClientUnaryCall | undefined
    const failed = ask(client, BytesService.hang, name, {
      call: made => {
        call = made
      },
    })
    const rejected = expect(failed).rejects.toMatchObject({ code: status.CANCELLED })
    await heard(`begun ${name}`)
    call?.cancel()
    await rejected
    await heard(`cancelled ${name}`)
  })

  it('a stream from the server that the client has had enough of', async () => {
    const { path, requestSerialize, responseDeserialize } = BytesService.repeat
    const client = await connect()
    const call = client.makeServerStreamRequest(
      path,
      requestSerialize,
      responseDeserialize,
      Buffer.from('1000000 10000'),
    )
    let got = 0
    const failed = await new Promise<ServiceError>(resolve => {
      call.on('error', error => resolve(error as ServiceError))
      call.on('data', () => {
        if (++got === 3) call.cancel()
      })
    })
    expect(failed.code).toBe(status.CANCELLED)
    expect(String((await ask(client, BytesService.echo, 'next')).message)).toBe('next')
  })

  it('PINGs that keep a quiet connection alive', async () => {
    const client = await connect({
      'grpc.keepalive_time_ms': 50,
      'grpc.keepalive_timeout_ms': 250,
      'grpc.keepalive_permit_without_calls': 1,
    })
    const failed = ask(client, BytesService.hang, `quiet ${count++}`, { deadline: 600 })
    // A PING that nobody answers, or a connection that is closed for too many of them, would be UNAVAILABLE.
    await expect(failed).rejects.toMatchObject({ code: status.DEADLINE_EXCEEDED })
    expect(String((await ask(client, BytesService.echo, 'still')).message)).toBe('still')
  })

  it('says UNIMPLEMENTED as the server does', async () => {
    const client = await connect()
    const unknown = { ...BytesService.echo, path: '/test.Bytes/unknown' }
    await expect(ask(client, unknown, '')).rejects.toMatchObject({ code: status.UNIMPLEMENTED })
  })

  it('says UNAVAILABLE for an origin that is not there', async () => {
    const nobody = await startEdge(`h2c://127.0.0.1:${await freePort()}`)
    const { host } = new URL(nobody.plain)
    const client = new Client(host, credentials.createInsecure(), LIMITS)
    clients.push(client)
    await expect(ask(client, BytesService.echo, '')).rejects.toMatchObject({ code: status.UNAVAILABLE })
  })
})
