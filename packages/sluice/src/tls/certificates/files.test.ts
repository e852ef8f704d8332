import { createPrivateKey } from 'node:crypto'
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type TestCertificate, testCertificate } from '../../../test/support/certificates.ts'
import { temporaryFolder } from '../../../test/support/peers.ts'
import { fromFiles } from './files.ts'
import { fromPem } from './pem.ts'

const folder = temporaryFolder()
let ca: TestCertificate
let leaf: TestCertificate
let other: TestCertificate

function file(name: string, text: string): string {
  const path = join(folder.path, name)
  writeFileSync(path, text)
  return path
}

/** The code and message of what a function throws, with the folder taken out. */
function failure(run: () => unknown): string {
  try {
    run()
  } catch (error) {
    const { code, message } = error as { code: string; message: string }
    return `${code}: ${message.replaceAll(`${folder.path}/`, '')}`
  }
  return 'nothing was thrown'
}

beforeAll(async () => {
  ca = await testCertificate({ name: 'test ca', ca: true })
  leaf = await testCertificate({ issuer: ca, name: 'leaf' })
  other = await testCertificate({ name: 'other' })
})
afterAll(folder.remove)

describe('fromFiles', () => {
  it('reads a certificate with its chain and key', async () => {
    const source = fromFiles({ cert: file('a.pem', leaf.cert + ca.cert), key: file('a.key', leaf.key) })
    const certificate = await source.certificate()
    expect(certificate.cert.match(/BEGIN CERTIFICATE/g)).toHaveLength(2)
    expect(await source.describe()).toEqual({
      names: ['localhost', '127.0.0.1'],
      expires: leaf.x509.notAfter,
      selfSigned: false,
    })
  })

  it('reads both from one file, in any order, with text between', async () => {
    const both = `a comment\n${other.key}\nsubject=other\r\n${other.cert.replaceAll('\n', '\r\n')}`
    expect(await fromFiles({ cert: file('both.pem', both) }).describe()).toMatchObject({ selfSigned: true })
  })

  it('decrypts a key with its passphrase', async () => {
    const encrypted = createPrivateKey(leaf.key).export({
      type: 'pkcs8',
      format: 'pem',
      cipher: 'aes-256-cbc',
      passphrase: 'secret',
    })
    const cert = file('e.pem', leaf.cert)
    const key = file('e.key', String(encrypted))
    expect((await fromFiles({ cert, key, passphrase: 'secret' }).certificate()).key).toContain(
      '-----BEGIN PRIVATE KEY-----',
    )
    expect(failure(() => fromFiles({ cert, key }))).toBe(
      'TLS_KEY_INVALID: private key "e.key" is encrypted; pass its passphrase',
    )
    expect(failure(() => fromFiles({ cert, key, passphrase: 'wrong' }))).toBe(
      'TLS_KEY_INVALID: private key "e.key" could not be decrypted; the passphrase is wrong, or the file is damaged',
    )
  })

  it('says what is wrong with a file', () => {
    const key = file('b.key', leaf.key)
    mkdirSync(join(folder.path, 'folder'))
    const cert = (text: string) => failure(() => fromFiles({ cert: file('b.pem', text), key }))
    expect(failure(() => fromFiles({ cert: join(folder.path, 'none.pem'), key }))).toBe(
      'TLS_CERTIFICATE_FILE: tls certificate "none.pem" does not exist; check the path',
    )
    expect(failure(() => fromFiles({ cert: join(folder.path, 'folder'), key }))).toBe(
      'TLS_CERTIFICATE_FILE: tls certificate "folder" is a directory; pass a file',
    )
    expect(
      failure(() => fromFiles({ cert: file('c.pem', leaf.cert), key: join(folder.path, 'no.key') })),
    ).toBe('TLS_CERTIFICATE_FILE: private key "no.key" does not exist; check the path')
    expect(cert('')).toBe('TLS_CERTIFICATE_INVALID: tls certificate "b.pem" is empty')
    expect(cert('hello')).toBe(
      'TLS_CERTIFICATE_INVALID: tls certificate "b.pem" has no certificate in it; it must be PEM, with a line ' +
        '-----BEGIN CERTIFICATE-----',
    )
    expect(failure(() => fromFiles({ cert: join(folder.path, 'b.pem', 'x'), key }))).toBe(
      'TLS_CERTIFICATE_FILE: tls certificate "b.pem/x" does not exist; check the path',
    )
  })

  it.each<[string, (pem: string) => string, RegExp]>([
    [
      'other content',
      pem => pem.replace(/\n.{20}/, '\nAAAAAAAAAAAAAAAAAAAA'),
      /could not be read \(its content can not be decoded: [\w ]+\)$/,
    ],
    [
      'a character too few',
      pem => pem.replace(/\n./, '\n'),
      /could not be read \(characters are missing in its base64\)$/,
    ],
    ['a stray character', pem => pem.replace(/\n./, '\n?'), /\("\?" is no character of base64\)$/],
  ])('says what is damaged: %s', (_, damage, why) => {
    const cert = file('x.pem', leaf.cert)
    const key = file('x.key', damage(leaf.key))
    const message = failure(() => fromFiles({ cert, key }))
    expect(message).toMatch(
      /^TLS_KEY_INVALID: private key "x.key" is damaged: the private key in it could not/,
    )
    expect(message).toMatch(why)
    const chain = failure(() => fromPem({ cert: leaf.cert + damage(ca.cert), key: leaf.key }))
    expect(chain).toMatch(
      /^TLS_CERTIFICATE_INVALID: tls certificate is damaged: the certificate at place 2 in it/,
    )
    expect(chain).toMatch(why)
  })

  it('says what was cut off, where only a part of a chain would be left', () => {
    expect(failure(() => fromPem({ cert: leaf.cert + ca.cert.slice(0, 200), key: leaf.key }))).toBe(
      'TLS_CERTIFICATE_INVALID: tls certificate is damaged: 1 of the 2 certificates in it can be told from the rest, by ' +
        'a line -----END CERTIFICATE----- with no other "-" before it; was it cut off?',
    )
    expect(failure(() => fromPem({ cert: leaf.cert, key: leaf.key.slice(0, 100) }))).toBe(
      'TLS_KEY_INVALID: private key is damaged: the private key in it could not be read (its line -----END PRIVATE ' +
        'KEY----- is missing, or there is another "-" before it)',
    )
  })

  it('says when a file may not be read', () => {
    const path = file('secret.pem', leaf.cert)
    chmodSync(path, 0)
    // Root may read everything: as root, somebody else tries.
    const root = process.geteuid?.() === 0
    if (root) process.seteuid?.('nobody')
    try {
      expect(failure(() => fromFiles({ cert: path }))).toBe(
        'TLS_CERTIFICATE_FILE: tls certificate "secret.pem" may not be read by this user; check its permissions',
      )
    } finally {
      if (root) process.seteuid?.(0)
    }
  })

  it('says when the key belongs to another certificate', () => {
    expect(failure(() => fromFiles({ cert: file('d.pem', leaf.cert), key: file('d.key', other.key) }))).toBe(
      'TLS_KEY_MISMATCH: private key "d.key" does not belong to tls certificate "d.pem" (CN=leaf); pass the key that it ' +
        'was made with',
    )
    expect(failure(() => fromFiles({ cert: file('d.pem', leaf.cert), key: file('d.key', leaf.cert) }))).toBe(
      'TLS_KEY_INVALID: private key "d.key" has no private key in it; it must be PEM, with a line ' +
        '-----BEGIN PRIVATE KEY-----',
    )
  })

  it('says when the chain is in the wrong order', () => {
    const key = file('f.key', leaf.key)
    expect(failure(() => fromFiles({ cert: file('f.pem', ca.cert + leaf.cert), key }))).toBe(
      'TLS_CERTIFICATE_INVALID: tls certificate "f.pem" is in the wrong order: private key "f.key" belongs to the ' +
        'certificate at place 2 in it; put that one first, then those that issued it',
    )
    expect(failure(() => fromFiles({ cert: file('f.pem', leaf.cert + other.cert), key }))).toBe(
      'TLS_CERTIFICATE_INVALID: tls certificate "f.pem" is in the wrong order: the certificate at place 2 in it ' +
        "(CN=other) did not issue the one before it (CN=leaf); put the server's own first, then those that issued it, " +
        'in order',
    )
  })

  it('says what the platform does not serve', async () => {
    const weak = await testCertificate({ rsa: 512 })
    expect(failure(() => fromFiles({ cert: file('w.pem', weak.cert + weak.key) }))).toMatch(
      /^TLS_CERTIFICATE_INVALID: tls certificate "w.pem" can not be served \(.*key too small.*\); pass another with --cert$/,
    )
  })

  it('says when it has expired, or is not valid yet', async () => {
    const old = await testCertificate({ from: -2, until: -1 })
    const early = await testCertificate({ from: 1, until: 2 })
    const day = (date: Date) => date.toISOString().slice(0, 10)
    expect(failure(() => fromFiles({ cert: file('g.pem', old.cert + old.key) }))).toBe(
      `TLS_CERTIFICATE_EXPIRED: tls certificate "g.pem" has expired (${day(old.x509.notAfter)}); ` +
        'renew it or pass another with --cert',
    )
    expect(failure(() => fromFiles({ cert: file('h.pem', early.cert + early.key) }))).toMatch(
      `TLS_CERTIFICATE_NOT_YET_VALID: tls certificate "h.pem" is not valid before ${day(early.x509.notBefore)}; ` +
        'check the clock of this machine, which says ',
    )
  })
})

describe('fromPem', () => {
  it('takes text and bytes', async () => {
    const { cert } = await fromPem({ cert: Buffer.from(leaf.cert), key: leaf.key }).certificate()
    expect(cert).toContain('-----BEGIN CERTIFICATE-----')
  })

  it('names what it was given in messages', () => {
    expect(failure(() => fromPem({ cert: leaf.cert, key: other.key }))).toBe(
      'TLS_KEY_MISMATCH: private key does not belong to tls certificate (CN=leaf); pass the key that it was made with',
    )
  })

  it('falls back to the common name for the description', async () => {
    const { cert, key } = await testCertificate({ name: 'only a common name', names: [] })
    expect((await fromPem({ cert, key }).describe()).names).toEqual(['only a common name'])
  })
})
