// Frameworks of the web's Fetch API as services: Hono and h3.
import { H3, readBody, setCookie } from 'h3'
import { Hono } from 'hono'
import { streamSSE } from 'hono/streaming'
import { afterEach, describe, expect, it } from 'vitest'
import { ask, VERSIONS } from '../../../test/support/ask.ts'
import { RawClient, startHttp, stopHttp } from '../../../test/support/http.ts'
import { captureLogs } from '../../../test/support/logs.ts'
import { closeSockets, until } from '../../../test/support/sockets.ts'
import { type FetchHandler, fetchHandler } from '../index.ts'

captureLogs()
const aborted: string[] = []
afterEach(async () => {
  await stopHttp()
  await closeSockets()
  aborted.length = 0
})

function hono(): FetchHandler {
  const app = new Hono<{ Bindings: Parameters<FetchHandler>[1] }>()
  app.use(async (context, next) => {
    await next()
    context.header('x-asked', context.req.path)
  })
  app.get('/hello/:name', context => {
    const { connection } = context.env
    return context.json({
      name: context.req.param('name'),
      a: context.req.query('a'),
      peer: `${connection.peer}`,
    })
  })
  app.post('/echo', async context => {
    context.header('set-cookie', 'seen=yes')
    return context.json(await context.req.json(), 201)
  })
  app.post('/form', async context => {
    const form = await context.req.formData()
    return context.text(`${form.get('a')} ${await (form.get('file') as File).text()}`)
  })
  app.get('/events', context =>
    streamSSE(context, async stream => {
      for (const data of ['one', 'two']) await stream.writeSSE({ data })
    }),
  )
  app.get('/wait', context => {
    context.req.raw.signal.addEventListener('abort', () => aborted.push('hono'))
    return new Promise<never>(() => {})
  })
  app.get('/throw', () => {
    throw new Error('secret')
  })
  app.onError((_error, context) => context.text('as the application says', 500))
  // Its second argument becomes `env`.
  return (request, context) => app.fetch(request, context)
}

function h3(): FetchHandler {
  const app = new H3({ silent: true })
  app.use((event, next) => {
    event.res.headers.set('x-asked', event.url.pathname)
    return next()
  })
  app.get('/hello/:name', event => {
    const { name } = event.context.params ?? {}
    const peer = `${(event.req as unknown as { peer: string }).peer}`
    return { name, a: event.url.searchParams.get('a'), peer }
  })
  app.post('/echo', async event => {
    setCookie(event, 'seen', 'yes', { path: '' })
    event.res.status = 201
    return await readBody(event)
  })
  app.post('/form', async event => {
    const form = await event.req.formData()
    return `${form.get('a')} ${await (form.get('file') as File).text()}`
  })
  app.get('/events', event => {
    event.res.headers.set('content-type', 'text/event-stream')
    return new ReadableStream({
      start(controller) {
        for (const data of ['one', 'two']) controller.enqueue(Buffer.from(`data: ${data}\n\n`))
        controller.close()
      },
    })
  })
  app.get('/wait', event => {
    event.req.signal.addEventListener('abort', () => aborted.push('h3'))
    return new Promise<never>(() => {})
  })
  app.get('/throw', () => {
    throw new Error('secret')
  })
  return (request, { connection }) => app.fetch(Object.assign(request, { peer: connection.peer }))
}

const matrix = VERSIONS.flatMap(version => [
  { name: 'Hono', make: hono, version },
  { name: 'h3', make: h3, version },
])

describe.each(matrix)('$name over HTTP/$version', ({ name, make, version }) => {
  const start = async (): Promise<number> => (await startHttp(fetchHandler(make()))).port

  it('routes, and answers with what the request says', async () => {
    const { status, headers, body } = await ask(version, await start(), { path: '/hello/you?a=b' })
    expect([status, headers['x-asked']]).toEqual([200, '/hello/you'])
    expect(JSON.parse(body)).toEqual({
      name: 'you',
      a: 'b',
      peer: expect.stringMatching(/^127\.0\.0\.1:\d+$/),
    })
  })

  it('parses bodies', async () => {
    const port = await start()
    const json = { path: '/echo', method: 'POST', headers: { 'content-type': 'application/json' } }
    const answer = await ask(version, port, { ...json, body: '{"hello":"there"}' })
    expect([answer.status, JSON.parse(answer.body)]).toEqual([201, { hello: 'there' }])
    expect(answer.headers['set-cookie']).toEqual([expect.stringMatching(/^seen=yes/)])
    const form = new Response(formOf({ a: 'text', file: new File(['of the file'], 'file.txt') }))
    const type = form.headers.get('content-type') ?? ''
    const sent = Buffer.from(await form.arrayBuffer())
    const multipart = { path: '/form', method: 'POST', body: sent, headers: { 'content-type': type } }
    expect((await ask(version, port, multipart)).body).toBe('text of the file')
  })

  it('streams events', async () => {
    const { headers, body } = await ask(version, await start(), { path: '/events' })
    expect(headers['content-type']).toBe('text/event-stream')
    expect(body).toBe('data: one\n\ndata: two\n\n')
  })

  it('answers errors by itself', async () => {
    const port = await start()
    expect((await ask(version, port, { path: '/nothing' })).status).toBe(404)
    const { status, body } = await ask(version, port, { path: '/throw' })
    expect([status, body.includes('secret')]).toEqual([500, false])
  })

  it('hears of a client that goes', async () => {
    const port = await start()
    const client = await RawClient.connect(port)
    client.send('GET /wait HTTP/1.1\r\nHost: a\r\n\r\n')
    await new Promise(setImmediate)
    client.socket.resetAndDestroy()
    await until(() => aborted.length === 1)
    expect(aborted).toEqual([name === 'Hono' ? 'hono' : 'h3'])
  })
})

function formOf(fields: Record<string, string | File>): FormData {
  const form = new FormData()
  for (const [name, value] of Object.entries(fields)) form.append(name, value)
  return form
}
