// Vite's dev server in middleware mode, behind TLS: pages, modules, and the WebSocket that tells the page of changes.
import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs'
import { createServer as createNodeServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createServer, type ViteDevServer } from 'vite'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ask, VERSIONS } from '../../../test/support/ask.ts'
import { captureLogs } from '../../../test/support/logs.ts'
import { testCertificate, testKey } from '../../../test/support/test-certificate.ts'
import { connectWebSocket, nextMessage } from '../../../test/support/web-socket.ts'
import { stack } from '../../core/index.ts'
import { type Connection, type IpAddress, type Listener, listen } from '../../net/index.ts'
import { acceptTls, fromPem } from '../../tls/index.ts'
import { nodeHandler, serveHttp } from '../index.ts'

captureLogs()

const folder = realpathSync(mkdtempSync(join(tmpdir(), 'sluice-vite-')))
const module = join(folder, 'src/main.ts')
let vite: ViteDevServer
let listener: Listener
let port: number

beforeAll(async () => {
  mkdirSync(join(folder, 'src'))
  writeFileSync(
    join(folder, 'index.html'),
    '<!doctype html><title>A page</title><script type="module" src="/src/main.ts"></script>',
  )
  writeFileSync(module, 'const who: string = "you"\ndocument.title = who\nexport {}\n')

  // It never listens: Vite adds the listener of its WebSocket to it, and Sluice hands it the requests.
  const server = createNodeServer()
  vite = await createServer({
    root: folder,
    configFile: false,
    appType: 'spa',
    logLevel: 'silent',
    cacheDir: join(folder, 'cache'),
    optimizeDeps: { noDiscovery: true },
    server: { middlewareMode: true, ws: { server } },
  })
  server.on('request', vite.middlewares)
  const service = stack<Connection>()
    .layer(
      acceptTls({ certificate: fromPem({ cert: testCertificate, key: testKey }), alpn: ['h2', 'http/1.1'] }),
    )
    .service(serveHttp(nodeHandler(server)))
  listener = await listen('127.0.0.1:0', {}, service)
  port = (listener.address as IpAddress).port
})

afterAll(async () => {
  await vite.close()
  await listener.close(0)
  rmSync(folder, { recursive: true })
})

describe.each(VERSIONS)('Vite over HTTPS and HTTP/%s', version => {
  const get = async (path: string, headers = {}) => ask(version, port, { path, headers, tls: true })

  it('serves a page that Vite has changed', async () => {
    const { status, headers, body } = await get('/', { accept: 'text/html' })
    expect([status, headers['content-type']]).toEqual([200, 'text/html'])
    expect(body).toContain('<title>A page</title>')
    expect(body).toContain('src="/@vite/client"')
    expect((await get('/some/route', { accept: 'text/html' })).body).toBe(body)
  })

  it('serves a module, translated, and not again when it has not changed', async () => {
    const { status, headers, body } = await get('/src/main.ts')
    expect([status, headers['content-type']]).toEqual([200, 'text/javascript'])
    expect(body).toContain('const who = "you"')
    const { etag = '' } = headers
    expect((await get('/src/main.ts', { 'if-none-match': etag })).status).toBe(304)
    expect((await get('/@vite/client')).body).toContain('vite-hmr')
  })
})

describe('the WebSocket of Vite', () => {
  it('tells of a change of a module', async () => {
    const url = `wss://127.0.0.1:${port}/?token=${vite.config.webSocketToken}`
    const client = await connectWebSocket(url, { origin: `https://127.0.0.1:${port}` }, ['vite-hmr'])
    expect(JSON.parse(String(await nextMessage(client)))).toEqual({ type: 'connected' })
    writeFileSync(module, 'document.title = "changed"\nexport {}\n')
    vite.watcher.emit('change', module)
    expect(JSON.parse(String(await nextMessage(client)))).toMatchObject({ type: 'full-reload' })
    client.terminate()
  })

  it('is refused without the token, as Vite does', async () => {
    const stranger = connectWebSocket(`wss://127.0.0.1:${port}/`, { origin: 'https://a.example' }, [
      'vite-hmr',
    ])
    await expect(stranger).rejects.toThrow('400')
  })
})
