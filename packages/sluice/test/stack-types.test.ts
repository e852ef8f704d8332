// What the compiler says about stacks: the promise that a stack in which something is missing does not compile, and
// that the message names what is missing.
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

const root = fileURLToPath(new URL('../../..', import.meta.url))
const source = (folder: string) => JSON.stringify(join(root, 'packages/sluice/src', folder, 'index.ts'))

const PRELUDE = `
import { type Layer, type Service, stack } from ${source('core')}
import * as http from ${source('http')}
import { type Connection, type ConnectLayer, forward as forwardTo } from ${source('net')}
import { sendProxyHeader } from ${source('proxy-protocol')}
import { connectTls } from ${source('tls')}

interface Secure extends Connection { tls: { readonly serverName: string } }
interface Proxied extends Connection { proxied: { readonly source: string } }
declare function acceptTls(): Layer<Connection, Secure>
declare function acceptProxyHeader(): Layer<Connection, Proxied>
declare function requireClientCertificate(): Layer<Secure>
declare function forward(): Service<Connection>
declare function announce(): ConnectLayer<Secure>
const requests = () => stack<http.HttpRequest<Secure>, http.HttpResponse>()
`

/** Each is a program after the prelude, and what the compiler must say about it; nothing if it must compile. */
const PROGRAMS: Readonly<Record<string, { code: string; says?: readonly string[] }>> = {
  'a layer without what it needs': {
    code: 'stack<Connection>().layer(requireClientCertificate())',
    says: ["Property 'tls' is missing in type 'Connection' but required in type 'Secure'"],
  },
  'a layer above the one that adds what it needs': {
    code: 'stack<Connection>().layer(requireClientCertificate()).layer(acceptTls()).service(forward())',
    says: ["Property 'tls' is missing in type 'Connection' but required in type 'Secure'"],
  },
  'a layer where another property was added': {
    code: 'stack<Connection>().layer(acceptProxyHeader()).layer(requireClientCertificate())',
    says: ["Property 'tls' is missing in type 'Connection & Proxied' but required in type 'Secure'"],
  },
  'a service without what it needs': {
    code: 'stack<Connection>().service((connection: Secure) => {})',
    says: ["Property 'tls' is missing in type 'Connection' but required in type 'Secure'"],
  },
  'a tap that reads what no layer provided': {
    code: 'stack<Connection>().tap(({ tls }) => {})',
    says: ["Property 'tls' does not exist on type 'Connection'"],
  },
  'a tap above the layer that adds what it reads': {
    code: 'stack<Connection>().tap(({ tls }) => {}).layer(acceptTls())',
    says: ["Property 'tls' does not exist on type 'Connection'"],
  },
  'a service that reads what no layer provided': {
    code: 'stack<Connection>().layer(acceptTls()).service(connection => void connection.proxied)',
    says: ["Property 'proxied' does not exist on type 'Connection & Secure'"],
  },
  'a service that answers something else': {
    code: "stack<Connection, number>().layer(acceptTls()).service(() => 'text')",
    says: ["Type 'string' is not assignable to type 'number | Promise<number>'"],
  },
  'a stack used where less is given': {
    code: `const service: Service<Connection> = stack<Secure>().layer(requireClientCertificate()).service(forward())`,
    says: ["Property 'tls' is missing in type 'Connection' but required in type 'Secure'"],
  },
  'a connect layer that reads what no layer provided': {
    code: `stack<Connection>().service(forwardTo('1', { connect: [announce(), connectTls()] }))`,
    says: ["Property 'tls' is missing in type 'Connection' but required in type 'Secure'"],
  },
  'a request whose id no layer has made': {
    code: 'requests().layer(http.accessLog()).service(({ requestId }) => http.text(requestId))',
    says: ["Property 'requestId' does not exist on type 'HttpRequest<Secure>'"],
  },
  'a request whose client no layer has looked for': {
    code: 'requests().layer(http.requestId()).service(({ client }) => http.text(String(client.address)))',
    says: ["Property 'client' does not exist on type 'HttpRequest<Secure> & WithRequestId'"],
  },
  'a client whose address is taken for known': {
    code: `requests()
      .layer(http.trustForwarded({ trust: [] }))
      .service(({ client }) => http.text(client.address.toString()))`,
    says: ["'client.address' is possibly 'undefined'"],
  },
  'a layer of requests on connections': {
    code: 'stack<Connection>().layer(http.requestId())',
    says: ["Argument of type 'Layer<HttpRequest<Connection>, WithRequestId, HttpResponse>'"],
  },
  'layers of requests, in any order, and what layers of the connection have proved': {
    code: `export const service: Service<http.HttpRequest<Secure>, http.HttpResponse> = requests()
      .layer(http.accessLog())
      .layer(http.trustForwarded({ trust: ['loopback'] }))
      .layer(http.timeout('10s'))
      .layer(http.requestId())
      .layer(http.bodyLimit('1mb'))
      .service(({ client, requestId, connection }) =>
        http.text([client.address, client.trusted, requestId.length, connection.tls.serverName].join()))
    export const served: Service<Secure> = http.serveHttp(service)
    export const files = requests().layer(http.requestId()).service(request => http.file(request, '/file'))`,
  },
  'connect layers, one or several': {
    code: `export const one: Service<Connection> = stack<Connection>().service(forwardTo('1', { connect: connectTls() }))
    export const two: Service<Connection> = stack<Connection>()
      .layer(acceptTls())
      .service(forwardTo('1', { connect: [announce(), connectTls()] }))
    export const three = forwardTo('1', { connect: [sendProxyHeader(), connectTls()] }) satisfies Service<Connection>`,
  },
  'the property on the input of a stack': {
    code: 'export const service: Service<Secure> = stack<Secure>().layer(requireClientCertificate()).service(forward())',
  },
  'a layer below the one that adds what it needs': {
    code: `export const service: Service<Connection> = stack<Connection>()
      .layer(acceptTls())
      .layer(requireClientCertificate())
      .tap(({ tls }) => void tls.serverName.length)
      .service(forward())`,
  },
  'two layers, and a service that reads what both added': {
    code: `export const service: Service<Connection> = stack<Connection>()
      .layer(acceptProxyHeader())
      .layer(acceptTls())
      .service(async ({ proxied, tls, peer }) => void [proxied.source, tls.serverName, peer])`,
  },
  'a service that asks for less than is given': {
    code: 'stack<Connection>().layer(acceptTls()).service((input: { readonly id: string }) => {})',
  },
  'a layer that is a function of its own': {
    code: `const timed: Layer<Connection> = next => async connection => {
      const answer = await next(connection)
      void connection.id
      return answer
    }
    export const service: Service<Connection> = stack<Connection>().layer(timed).layer(acceptTls()).layer(timed).service(forward())`,
  },
  'stacks that share a beginning': {
    code: `const common = stack<Connection>().layer(acceptTls())
    export const one: Service<Connection> = common.layer(requireClientCertificate()).service(forward())
    export const two: Service<Connection> = common.service(({ tls }) => void tls)`,
  },
}

const names = Object.keys(PROGRAMS)
let folder: string
let output: string

// One run of the compiler for all programs: it is the start that takes time.
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'sluice-types-'))
  writeFileSync(join(folder, 'package.json'), '{ "type": "module" }')
  names.forEach((name, index) => {
    writeFileSync(join(folder, `program${index}.ts`), `${PRELUDE}${PROGRAMS[name]?.code}\n`)
  })
  const compilerOptions = {
    noEmit: true,
    allowImportingTsExtensions: true,
    rewriteRelativeImportExtensions: false,
    isolatedDeclarations: false,
    declaration: false,
    noUnusedLocals: false,
    noUnusedParameters: false,
    customConditions: ['@sluice/source'],
    typeRoots: [join(root, 'node_modules/@types')],
  }
  writeFileSync(
    join(folder, 'tsconfig.json'),
    JSON.stringify({ extends: join(root, 'tsconfig.base.json'), compilerOptions, include: ['*.ts'] }),
  )
  const manifest = createRequire(import.meta.url).resolve('typescript/package.json')
  const tsc = join(dirname(manifest), 'bin/tsc')
  output = spawnSync(process.execPath, [tsc, '-p', folder, '--pretty', 'false'], { encoding: 'utf8' }).stdout
}, 60_000)

afterAll(() => rmSync(folder, { recursive: true }))

describe('the compiler', () => {
  it.each(names.map((name, index) => [PROGRAMS[name]?.says ? 'refuses' : 'accepts', name, index] as const))(
    '%s %s',
    (_verdict, name, index) => {
      // A message goes on in indented lines.
      const messages = output.match(new RegExp(`^.*program${index}\\.ts.*(?:\\n .*)*`, 'gm')) ?? []
      const says = PROGRAMS[name]?.says ?? []
      expect(messages).toHaveLength(says.length)
      for (const [at, text] of says.entries()) expect(messages[at]).toContain(text)
    },
  )

  it('could read its configuration', () => {
    expect(output).not.toMatch(/^error/m)
    expect(output).not.toBe('')
  })
})
