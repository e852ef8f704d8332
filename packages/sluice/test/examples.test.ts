// Runs every example as a program of its own, as its first lines tell people to, and uses it.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { connect as connectHttp2 } from 'node:http2'
import { type RequestOptions, request as requestHttps } from 'node:https'
import { connect, type Socket } from 'node:net'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { connect as connectTls } from 'node:tls'
import { fileURLToPath } from 'node:url'
import { serializeProxyHeader } from 'sluice/proxy-protocol'
import { afterEach, describe, expect, it } from 'vitest'
import { ipAddress } from '../src/net/index.ts'
import { freePort, temporaryFolder } from './support/peers.ts'

const root = fileURLToPath(new URL('../../..', import.meta.url))
const tried = new Set<string>()
const running = new Set<ChildProcess>()

afterEach(async () => {
  for (const child of running) {
    child.kill('SIGKILL')
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
  }
  running.clear()
})

describe('examples/tls-termination.ts', () => {
  it('greets the client by the port that it came from, over HTTP/1.1 and HTTP/2', async () => {
    const [port, greeter] = [await freePort(), await freePort()]
    const stop = await start('tls-termination', port, { GREETER: `127.0.0.1:${greeter}` })
    const first = await get({ port })
    expect(first.text).toMatch(`hello client 127.0.0.1:${first.localPort}, you were served by tls terminator`)
    const second = await getHttp2(port)
    expect(second.text).toMatch(
      `hello client 127.0.0.1:${second.localPort}, you were served by tls terminator`,
    )
    expect(await stop()).toBe(0)
  })

  it('is the program in the README', () => {
    const readme = readFileSync(join(root, 'README.md'), 'utf8')
    expect(readme).toContain(readFileSync(join(root, 'examples/tls-termination.ts'), 'utf8'))
  })
})

describe('examples/behind-load-balancer.ts', () => {
  it('knows the client from the header that comes before the handshake', async () => {
    const port = await freePort()
    const stop = await start('behind-load-balancer', port)
    const socket = connect(port, '127.0.0.1')
    const addresses = { source: ipAddress('192.0.2.7', 4711), destination: ipAddress('192.0.2.1', 443) }
    socket.write(serializeProxyHeader({ addresses }))
    const secure = connectTls({ socket, rejectUnauthorized: false })
    secure.write('GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n')
    let text = ''
    for await (const chunk of secure.setEncoding('utf8')) text += chunk
    expect(text).toMatch(/hello 192\.0\.2\.7:4711, you came through 127\.0\.0\.1:\d+ with TLSv1\.3\n$/)
    expect(await stop()).toBe(0)
  })
})

describe('examples/certificates-by-name.ts', () => {
  it('has a certificate for each name that is allowed', async () => {
    const folder = temporaryFolder()
    try {
      const port = await freePort()
      const file = join(folder.path, 'ca.pem')
      const stop = await start('certificates-by-name', port, { CA_FILE: file })
      const trusting = { port, ca: readFileSync(file), rejectUnauthorized: true }
      expect((await get({ ...trusting, servername: 'shop.localhost' })).text).toBe('this is shop.localhost\n')
      expect((await get({ ...trusting, servername: 'a.localhost' })).text).toBe('this is a.localhost\n')
      await expect(get({ ...trusting, servername: 'bank.example' })).rejects.toThrow()
      expect(await stop()).toBe(0)
    } finally {
      folder.remove()
    }
  })
})

describe('examples/own-layer.ts', () => {
  it('serves two connections of a client, refuses the third, and others still', async () => {
    const port = await freePort()
    const stop = await start('own-layer', port)
    const first = await greeted(port)
    const second = await greeted(port)
    await expect(greeted(port)).rejects.toThrow()
    const other = await greeted(port, 'PROXY TCP4 192.0.2.7 192.0.2.1 4711 80\r\n', '192.0.2.7')
    first.destroy()
    await once(first, 'close')
    for (const socket of [second, other]) socket.end()
    expect(await stop()).toBe(0)
  })
})

describe('examples/fetch-handler.ts', () => {
  it('answers with what the handler makes of the request', async () => {
    const port = await freePort()
    const stop = await start('fetch-handler', port)
    const hello = await fetch(`http://127.0.0.1:${port}/hello`)
    expect(await hello.json()).toEqual({ hello: expect.stringMatching(/^127\.0\.0\.1:\d+$/) })
    const upper = await fetch(`http://127.0.0.1:${port}/upper`, { method: 'POST', body: 'some text' })
    expect(await upper.text()).toBe('SOME TEXT')
    expect((await fetch(`http://127.0.0.1:${port}/`)).status).toBe(404)
    expect(await stop()).toBe(0)
  })
})

describe('examples/express.ts', () => {
  it('serves an application of Express over HTTP/1.1 and HTTP/2', async () => {
    const port = await freePort()
    const stop = await start('express', port)
    const { text } = await get({ port, path: '/hello/you' })
    expect(text).toBe('hello you at 127.0.0.1, you came by https and HTTP/1.1\n')
    expect((await getHttp2(port, '/hello/you')).text).toBe(
      'hello you at 127.0.0.1, you came by https and HTTP/2.0\n',
    )
    expect(await stop()).toBe(0)
  })
})

describe('examples/http-layers.ts', () => {
  it('answers in every way that it has, and writes a line for each', async () => {
    const port = await freePort()
    let output = ''
    const stop = await start('http-layers', port, {}, chunk => {
      output += chunk
    })
    const url = `http://127.0.0.1:${port}`

    const hello = await fetch(url, { headers: { 'x-forwarded-for': '192.0.2.7' } })
    const id = hello.headers.get('x-request-id')
    expect(await hello.text()).toBe(`hello 192.0.2.7, this is request ${id}\n`)
    const source = readFileSync(join(root, 'examples/http-layers.ts'), 'utf8')
    const part = await fetch(`${url}/old`, { headers: { range: 'bytes=3-9' } })
    expect([part.redirected, part.status, await part.text()]).toEqual([true, 206, source.slice(3, 10)])
    const whole = await fetch(`${url}/source`)
    expect(await whole.text()).toBe(source)
    const etag = whole.headers.get('etag') ?? ''
    expect((await fetch(`${url}/source`, { headers: { 'if-none-match': etag } })).status).toBe(304)
    const upper = await fetch(`${url}/upper`, { method: 'POST', body: 'some text' })
    expect(await upper.text()).toBe('SOME TEXT')
    const large = await fetch(`${url}/upper`, { method: 'POST', body: 'x'.repeat(65 * 1024) })
    expect([large.status, await large.text()]).toEqual([
      413,
      expect.stringMatching(/^413 Content Too Large: HTTP_BODY_TOO_LARGE\nrequest [\w-]{16}\n$/),
    ])

    expect(await stop()).toBe(0)
    const lines = output.split('\n').filter(Boolean)
    const parsed = lines.map(line => JSON.parse(line))
    expect(parsed.map(({ target, status }) => `${target} ${status}`)).toEqual([
      '/ 200',
      '/old 301',
      '/source 206',
      '/source 200',
      '/source 304',
      '/upper 200',
      '/upper 413',
    ])
    expect(parsed[0]).toMatchObject({ client: '192.0.2.7', requestId: id })
  })
})

describe('examples/reverse-proxy.ts', () => {
  it('asks its upstreams in turn, for whoever asked it', async () => {
    const port = await freePort()
    let output = ''
    const stop = await start('reverse-proxy', port, {}, chunk => {
      output += chunk
    })
    const said = (name: string): string => `this is ${name}, asked for 127.0.0.1 with HTTP/1.1\n`
    expect((await get({ port })).text).toBe(said('one'))
    expect((await getHttp2(port)).text).toBe(said('two'))
    expect(await stop()).toBe(0)
    const lines = output.split('\n').filter(Boolean)
    expect(lines.map(line => JSON.parse(line).status)).toEqual([200, 200])
  })
})

it('covers every example', () => {
  const files = readdirSync(join(root, 'examples')).filter(file => file.endsWith('.ts'))
  expect([...tried].sort()).toEqual(files.map(file => file.replace('.ts', '')).sort())
})

/**
 * Starts an example and waits until it accepts. Gives a function that stops it, and tells its exit code.
 *
 * @param onOutput what it writes to standard output
 */
async function start(
  name: string,
  port: number,
  env: Readonly<Record<string, string>> = {},
  onOutput?: (text: string) => void,
) {
  tried.add(name)
  const file = join(root, 'examples', `${name}.ts`)
  if (!existsSync(file)) throw new Error(`there is no ${file}`)
  const child = spawn(process.execPath, ['--conditions=@sluice/source', file], {
    env: { ...process.env, SLUICE_LOG: 'error', EDGE: `127.0.0.1:${port}`, ...env },
    stdio: ['ignore', onOutput === undefined ? 'inherit' : 'pipe', 'inherit'],
  })
  child.stdout?.setEncoding('utf8').on('data', onOutput ?? (() => {}))
  running.add(child)
  for (const each of [port, ...(env.GREETER ? [Number(env.GREETER.split(':')[1])] : [])]) {
    while (!(await accepts(each))) {
      if (child.exitCode !== null) throw new Error(`${name} ended with ${child.exitCode}`)
      await wait(20)
    }
  }
  return async () => {
    child.kill('SIGTERM')
    // Not 'exit', after which there may be output still to come.
    const [code] = await once(child, 'close')
    return code
  }
}

function accepts(port: number): Promise<boolean> {
  return new Promise(resolve => {
    const socket = connect(port, '127.0.0.1', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', () => resolve(false))
  })
}

interface Answer {
  readonly text: string
  readonly localPort: number | undefined
}

function get(options: RequestOptions): Promise<Answer> {
  return new Promise((resolve, reject) => {
    requestHttps(
      { host: '127.0.0.1', rejectUnauthorized: false, agent: false, ...options },
      async response => {
        const { localPort } = response.socket
        let text = ''
        for await (const chunk of response.setEncoding('utf8')) text += chunk
        resolve({ text, localPort })
      },
    )
      .once('error', reject)
      .end()
  })
}

async function getHttp2(port: number, path = '/'): Promise<Answer> {
  const session = connectHttp2(`https://127.0.0.1:${port}`, { rejectUnauthorized: false })
  // The stream fails with it, and says so below.
  session.on('error', () => {})
  try {
    const stream = session.request({ ':path': path })
    let text = ''
    for await (const chunk of stream.setEncoding('utf8')) text += chunk
    return { text, localPort: session.socket.localPort }
  } finally {
    session.close()
  }
}

/** A connection that has been answered once over plain HTTP, and is kept open. */
async function greeted(port: number, header = '', client = '127.0.0.1'): Promise<Socket> {
  const socket = connect(port, '127.0.0.1')
  socket.write(`${header}GET / HTTP/1.1\r\nhost: localhost\r\n\r\n`)
  let text = ''
  for await (const chunk of socket.iterator({ destroyOnReturn: false })) {
    text += String(chunk)
    if (text.endsWith(`hello ${client}\n`)) return socket
  }
  throw new Error(`closed after ${JSON.stringify(text)}`)
}
