import { afterEach, describe, expect, it } from 'vitest'
import { exchange, startHttp, stopHttp } from '../../test/support/http.ts'
import { captureLogs } from '../../test/support/logs.ts'
import { closeSockets } from '../../test/support/sockets.ts'
import { errorCode } from '../core/index.ts'
import { type ServeHttpOptions, serveHttp, text } from './index.ts'
import { httpLimits } from './limits.ts'

captureLogs()
afterEach(async () => {
  await stopHttp()
  await closeSockets()
})

describe('the limits of serveHttp', () => {
  it('have the defaults that the documentation names', () => {
    expect(httpLimits()).toEqual({
      head: 32 * 1024,
      fields: 100,
      target: 16 * 1024,
      body: Number.POSITIVE_INFINITY,
      headTimeout: 15_000,
      keepAliveTimeout: 75_000,
      bodyTimeout: 30_000,
      writeTimeout: 30_000,
      streams: 100,
      development: false,
    })
  })

  it.each<ServeHttpOptions>([
    { headLimit: 0 },
    { targetLimit: '0kb' },
    { fieldLimit: 10.3 },
    { fieldLimit: Number.NaN },
    { fieldLimit: Number.POSITIVE_INFINITY },
    { fieldLimit: -1 },
    { fieldLimit: 0 },
    { streamLimit: 0 },
    { streamLimit: -1 },
    { streamLimit: Number.NaN },
    { headTimeout: 0 },
    { keepAliveTimeout: '0s' },
    { bodyTimeout: 0 },
    { writeTimeout: 0 },
  ])('are refused when they would limit nothing, or everything: %o', options => {
    let code = ''
    try {
      serveHttp(() => text('hi'), options)
    } catch (error) {
      code = errorCode(error)
    }
    expect(code).toBe('OPTION_INVALID')
  })

  it('refuse any body where bodyLimit is 0', async () => {
    const { port } = await startHttp(() => text('hi'), { bodyLimit: 0 })
    const head = 'POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n'
    expect((await exchange(port, `${head}Content-Length: 0\r\n\r\n`)).statuses).toEqual([200])
    expect((await exchange(port, `${head}Content-Length: 1\r\n\r\nx`)).statuses).toEqual([413])
  })

  it('hold exactly', async () => {
    const { port } = await startHttp(() => text('hi'), { fieldLimit: 3 })
    const request = (fields: string) => `GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n${fields}\r\n`
    expect((await exchange(port, request('a: b\r\n'))).statuses).toEqual([200])
    expect((await exchange(port, request('a: b\r\nc: d\r\n'))).statuses).toEqual([431])
  })
})
