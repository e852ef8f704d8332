// A gRPC server of @grpc/grpc-js in a process of its own, in clear and with TLS.
import { createHash } from 'node:crypto'
import {
  Metadata,
  Server,
  ServerCredentials,
  type ServerDuplexStream,
  type ServerReadableStream,
  type ServerUnaryCall,
  type ServerWritableStream,
  type sendUnaryData,
} from '@grpc/grpc-js'
import { testCertificate } from './certificates.ts'
import { BytesService, type GrpcPlaces } from './grpc-service.ts'

type Unary = ServerUnaryCall<Buffer, Buffer>
type Done = sendUnaryData<Buffer>

/** Metadata of every kind: text, several of one name, and bytes. */
function answerMetadata(): Metadata {
  const metadata = new Metadata()
  metadata.add('x-text', 'a b')
  metadata.add('x-twice', 'one')
  metadata.add('x-twice', 'two')
  metadata.add('x-bytes-bin', Buffer.from([0, 255, 13, 10]))
  return metadata
}

const implementation = {
  echo: ({ request }: Unary, done: Done) => done(null, request),
  collect: (call: ServerReadableStream<Buffer, Buffer>, done: Done) => {
    const hash = createHash('sha256')
    let count = 0
    let bytes = 0
    call.on('data', (message: Buffer) => {
      count++
      bytes += message.length
      hash.update(message)
    })
    call.on('end', () =>
      done(null, Buffer.from(JSON.stringify({ count, bytes, sha256: hash.digest('hex') }))),
    )
  },
  repeat: async (call: ServerWritableStream<Buffer, Buffer>) => {
    const [count = 0, size = 0] = String(call.request).split(' ').map(Number)
    for (let index = 0; index < count && !call.cancelled; index++) {
      if (!call.write(Buffer.alloc(size, index))) await new Promise(next => call.once('drain', next))
    }
    call.end()
  },
  chat: (call: ServerDuplexStream<Buffer, Buffer>) => {
    call.on('data', (message: Buffer) => call.write(message))
    call.on('end', () => call.end(answerMetadata()))
  },
  fail: ({ request }: Unary, done: Done) => {
    const [, code, details = ''] = /^(\d+) (.*)$/.exec(String(request)) ?? []
    done({ code: Number(code), details, metadata: answerMetadata() })
  },
  failLate: (call: ServerWritableStream<Buffer, Buffer>) => {
    call.write(Buffer.from('one'))
    call.write(Buffer.from('two'))
    call.emit('error', { code: 10, details: 'after two', metadata: answerMetadata() })
  },
  hang: (call: Unary) => {
    process.stdout.write(`begun ${call.request}\n`)
    call.on('cancelled', () => process.stdout.write(`cancelled ${call.request}\n`))
  },
  told: (call: Unary, done: Done) => {
    const deadline = call.getDeadline()
    const left = typeof deadline === 'number' ? deadline - Date.now() : deadline.getTime() - Date.now()
    call.sendMetadata(answerMetadata())
    const { metadata } = call
    const told = { text: metadata.get('x-text'), bytes: metadata.get('x-bytes-bin').map(String), left }
    done(
      null,
      Buffer.from(JSON.stringify({ ...told, host: call.getHost(), for: metadata.get('x-forwarded-for') })),
      answerMetadata(),
    )
  },
}

const limits = { 'grpc.max_receive_message_length': -1, 'grpc.max_send_message_length': -1 }
const { cert, key } = await testCertificate({ usage: 'server' })
const secure = ServerCredentials.createSsl(null, [
  { cert_chain: Buffer.from(cert), private_key: Buffer.from(key) },
])
async function start(credentials: ServerCredentials): Promise<number> {
  const server = new Server(limits)
  server.addService(BytesService, implementation)
  return new Promise((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', credentials, (error, port) =>
      error === null ? resolve(port) : reject(error),
    )
  })
}
const ports = { h2c: await start(ServerCredentials.createInsecure()), tls: await start(secure) }
const places: GrpcPlaces = { ports, ca: cert }
process.stdout.write(`${JSON.stringify(places)}\n`)
