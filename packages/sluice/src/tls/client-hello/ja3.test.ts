import { PassThrough } from 'node:stream'
import { calculateJa3, readTlsClientHello } from 'read-tls-client-hello'
import { describe, expect, it } from 'vitest'
import { capturedHellos } from '../../../test/support/captured-hellos.ts'
import {
  groups,
  helloMessage,
  inRecords,
  other,
  pointFormats,
  supportedVersions,
} from '../../../test/support/client-hello.ts'
import { type ClientHello, ja3, parseClientHello } from './index.ts'

function parsed(parts: Parameters<typeof helloMessage>[0]): ClientHello {
  const hello = parseClientHello(inRecords(helloMessage(parts)))
  if (hello === undefined) throw new Error('not complete')
  return hello
}

describe('ja3', () => {
  it('is that of the first example in its specification', () => {
    const hello = parsed({
      legacyVersion: 769,
      cipherSuites: [47, 53, 5, 10, 49161, 49162, 49171, 49172, 50, 56, 19, 4],
      extensions: [
        { ...other(0), data: Buffer.from('0006000003612e62', 'hex') },
        groups([23, 24, 25]),
        pointFormats([0]),
      ],
    })
    expect(ja3(hello)).toEqual({
      text: '769,47-53-5-10-49161-49162-49171-49172-50-56-19-4,0-10-11,23-24-25,0',
      hash: 'ada70206e40642a3e4461f35503241d5',
    })
  })

  it('is that of the second example, which has no extensions', () => {
    const cipherSuites = [4, 5, 10, 9, 100, 98, 3, 6, 19, 18, 99]
    const expected = { text: '769,4-5-10-9-100-98-3-6-19-18-99,,,', hash: 'de350869b8c85de67a350c8d186f11e6' }
    expect(ja3(parsed({ legacyVersion: 769, cipherSuites }))).toEqual(expected)
    expect(ja3(parsed({ legacyVersion: 769, cipherSuites, extensions: [] }))).toEqual(expected)
  })

  it('leaves out GREASE, keeps signalling cipher suites, and takes the version from the message', () => {
    const hello = parsed({
      cipherSuites: [0x1a1a, 0x1301, 0x00ff, 0x5600],
      extensions: [other(0xfafa), supportedVersions([0x2a2a, 0x0304]), groups([0x3a3a, 29]), other(0x4a4a)],
    })
    expect(ja3(hello).text).toBe('771,4865-255-22016,43-10,29,')
  })

  it.each(capturedHellos)('is that of others for $client', async captured => {
    const hello = parseClientHello(captured.bytes)
    expect(hello?.ja3).toBe(captured.ja3)
    const stream = new PassThrough()
    stream.end(captured.bytes)
    expect(hello?.ja3).toBe(calculateJa3(await readTlsClientHello(stream)))
  })
})
