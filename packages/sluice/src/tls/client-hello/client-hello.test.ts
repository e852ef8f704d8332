import { describe, expect, it, onTestFinished } from 'vitest'
import { chromium } from '../../../test/support/captured-hellos.ts'
import {
  alpn,
  helloMessage,
  inRecords,
  other,
  supportedVersions,
} from '../../../test/support/client-hello.ts'
import { configureLogging, logger } from '../../core/index.ts'
import { parseClientHello } from './index.ts'

describe('ClientHello in a log line', () => {
  it('shows the server name, ALPN, versions and fingerprints', () => {
    const lines: string[] = []
    configureLogging({ directives: 'tls=debug', destination: { write: line => lines.push(line) } })
    onTestFinished(() => configureLogging({}))
    logger('tls').debug({ clientHello: parseClientHello(chromium.bytes) }, 'secure connection established')
    expect(JSON.parse(lines.join(''))).toMatchObject({
      msg: 'secure connection established',
      clientHello: {
        serverName: 'www.example.com',
        alpn: ['h2', 'http/1.1'],
        versions: ['TLSv1.3', 'TLSv1.2'],
        encryptedClientHello: true,
        ja3: chromium.ja3,
        ja4: chromium.ja4,
      },
    })
    expect(lines.join('').length).toBeLessThan(500)
  })

  it('leaves out what the client did not send', () => {
    expect(JSON.parse(JSON.stringify(parseClientHello(inRecords(helloMessage({})))))).toEqual({
      alpn: [],
      versions: ['TLSv1.2'],
      ja3: expect.any(String),
      ja4: 't12i010000_0f2cb44170f4_000000000000',
    })
  })

  it('stays short, and printable, whatever a client sends', () => {
    const hello = parseClientHello(
      inRecords(
        helloMessage({
          cipherSuites: Array<number>(3000).fill(0x1301),
          extensions: [
            alpn(['\x1b[2J\x9b\\', 'x'.repeat(255), ...Array<string>(2000).fill('y')]),
            supportedVersions(Array.from({ length: 120 }, (_, index) => index)),
            other(99, Buffer.alloc(3000)),
          ],
        }),
      ),
    )
    const line = JSON.stringify(hello)
    expect(line).toMatch(/^[\x20-\x7e]+$/)
    expect(line.length).toBeLessThan(500)
    expect(JSON.parse(line).alpn.slice(0, 2)).toEqual(['\\x1b[2J\\x9b\\\\', `${'x'.repeat(32)}...`])
  })
})
