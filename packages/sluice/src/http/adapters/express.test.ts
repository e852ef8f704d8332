// Express, its present version and the one before, as an application of `nodeHandler`.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import express5 from 'express'
// @ts-expect-error There are no types of it beside those of version 5.
import untyped from 'express4'
import { afterAll, afterEach, describe, expect, it } from 'vitest'
import { ask, VERSIONS, type Version } from '../../../test/support/ask.ts'
import { RawClient, startHttp, stopHttp } from '../../../test/support/http.ts'
import { captureLogs } from '../../../test/support/logs.ts'
import { closeSockets, until } from '../../../test/support/sockets.ts'
import { nodeHandler } from '../index.ts'

// What is used here is the same in both.
const express4 = untyped as typeof express5

const folder = mkdtempSync(join(tmpdir(), 'sluice-express-'))
const FILE = Buffer.alloc(300_000, 'all of the file ')
writeFileSync(join(folder, 'file.txt'), FILE)

const logs = captureLogs()
afterEach(async () => {
  await stopHttp()
  await closeSockets()
  logs.length = 0
})
afterAll(() => rmSync(folder, { recursive: true }))

const matrix = VERSIONS.flatMap(version => [
  { name: 'Express 5', express: express5, version },
  { name: 'Express 4', express: express4, version },
])

describe.each(matrix)('$name over HTTP/$version', ({ express, version }) => {
  function application(): ReturnType<typeof express5> {
    const app = express()
    app.use((request, response, next) => {
      response.set('x-asked', request.originalUrl)
      next()
    })
    app.use(express.json({ limit: 1000 }), express.urlencoded({ extended: false }))
    app.use('/files', express.static(folder))
    app.get('/hello/:name', ({ params, query, ip, protocol, hostname, secure }, response) => {
      response.json({ params, query, ip, protocol, hostname, secure })
    })
    app.post('/echo', (request, response) => {
      response.status(201).cookie('seen', 'yes', { httpOnly: true }).send(request.body)
    })
    app.get('/throw', () => {
      throw new Error('secret')
    })
    app.get('/reject', (_request, _response, next) => Promise.reject(new Error('secret')).catch(next))
    app.get('/elsewhere', (_request, response) => response.redirect('/hello/there'))
    app.get('/download', (_request, response) => response.download(join(folder, 'file.txt')))
    app.get('/chunks', async (_request, response) => {
      for (const chunk of ['one ', 'two ', 'three']) {
        response.write(chunk)
        await new Promise(setImmediate)
      }
      response.end()
    })
    const errors: express5.ErrorRequestHandler = (error, _request, response, next) => {
      if (response.headersSent || error.message === 'secret') next(error)
      else response.status(error.status).json({ error: error.type })
    }
    app.use(errors)
    return app
  }

  const start = async (): Promise<number> => (await startHttp(nodeHandler(application()))).port
  const json = { 'content-type': 'application/json' }

  it('routes, and answers with what the request says', async () => {
    const { status, headers, body } = await ask(version, await start(), { path: '/hello/you?a=b' })
    expect(status).toBe(200)
    expect(headers).toMatchObject({
      'x-powered-by': 'Express',
      'x-asked': '/hello/you?a=b',
      'content-type': 'application/json; charset=utf-8',
      'content-length': String(body.length),
      etag: expect.stringMatching(/^W\/"/),
    })
    const of = { ip: '127.0.0.1', protocol: 'http', hostname: '127.0.0.1', secure: false }
    expect(JSON.parse(body)).toEqual({ params: { name: 'you' }, query: { a: 'b' }, ...of })
  })

  it('parses bodies', async () => {
    const port = await start()
    const sent = { path: '/echo', method: 'POST', headers: json, body: '{"hello":"there"}' }
    const answer = await ask(version, port, sent)
    expect(answer).toMatchObject({ status: 201, body: '{"hello":"there"}' })
    expect(answer.headers['set-cookie']).toEqual(['seen=yes; Path=/; HttpOnly'])
    const form = { 'content-type': 'application/x-www-form-urlencoded' }
    expect((await ask(version, port, { ...sent, headers: form, body: 'a=1&b=2' })).body).toBe(
      '{"a":"1","b":"2"}',
    )
  })

  it('refuses bodies by itself', async () => {
    const port = await start()
    const sent = { path: '/echo', method: 'POST', headers: json }
    const malformed = await ask(version, port, { ...sent, body: '{' })
    expect(malformed).toMatchObject({ status: 400, body: '{"error":"entity.parse.failed"}' })
    const large = await ask(version, port, { ...sent, body: JSON.stringify('x'.repeat(2000)) })
    expect(large).toMatchObject({ status: 413, body: '{"error":"entity.too.large"}' })
  })

  it('answers errors by itself', async () => {
    const port = await start()
    for (const path of ['/throw', '/reject']) {
      const { status, headers } = await ask(version, port, { path })
      expect([path, status, headers['content-type']]).toEqual([path, 500, 'text/html; charset=utf-8'])
    }
    expect((await ask(version, port, { path: '/nothing' })).body).toContain('Cannot GET /nothing')
    expect((await ask(version, port, { path: '/elsewhere' })).headers.location).toBe('/hello/there')
    expect(logs).toEqual([])
  })

  it('sends files: whole, in part, conditionally, and their heads', async () => {
    const port = await start()
    const file = async (headers = {}, method = 'GET') =>
      ask(version, port, { path: '/files/file.txt', headers, method })
    const whole = await file()
    expect(whole.body === String(FILE)).toBe(true)
    const { etag = '' } = whole.headers
    expect(await file({ 'if-none-match': etag })).toMatchObject({ status: 304, body: '' })
    const part = await file({ range: 'bytes=4-9' })
    expect(part).toMatchObject({ status: 206, body: 'of the' })
    expect(part.headers['content-range']).toBe(`bytes 4-9/${FILE.length}`)
    expect((await file({}, 'HEAD')).headers['content-length']).toBe(`${FILE.length}`)
    const download = await ask(version, port, { path: '/download' })
    expect(download.headers['content-disposition']).toMatch(/^attachment; filename="?file.txt"?$/)
    expect(download.body.length).toBe(FILE.length)
  })

  it('streams', async () => {
    const { body, headers } = await ask(version, await start(), { path: '/chunks' })
    expect([body, headers['content-length']]).toEqual(['one two three', undefined])
  })
})

it.each<Version>(['1.1'])('stops reading a file when the client goes, over HTTP/%s', async () => {
  let open = 0
  const app = express5()
  app.get('/', (_request, response) => {
    open++
    response.on('close', () => open--)
    response.sendFile(join(folder, 'file.txt'))
  })
  const { port } = await startHttp(nodeHandler(app))
  const client = await RawClient.connect(port)
  await client.send('GET / HTTP/1.1\r\nHost: a\r\n\r\n').until(() => client.received.includes('file'))
  client.socket.resetAndDestroy()
  await until(() => open === 0)
})
