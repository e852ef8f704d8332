import { spawnSync } from 'node:child_process'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { SluiceError } from './errors.ts'
import { configureLogging, logger } from './logger.ts'

let text = ''
const destination = {
  write(line: string) {
    text += line
  },
}
const lines = (): Record<string, unknown>[] =>
  text
    .split('\n')
    .filter(line => line !== '')
    .map(line => JSON.parse(line))

beforeEach(() => {
  text = ''
})
afterEach(() => configureLogging({}))

describe('logger', () => {
  it('writes one line of JSON with level, time, target, fields and message', () => {
    configureLogging({ destination, directives: '' })
    logger('test').info({ connection: '1' }, 'accepted')
    expect(lines()).toEqual([
      {
        level: 'info',
        time: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
        target: 'test',
        connection: '1',
        msg: 'accepted',
      },
    ])
    expect(text.endsWith('}\n')).toBe(true)
  })

  it('is the same for the same target', () => {
    expect(logger('test')).toBe(logger('test'))
  })

  it('has the level of its target, also when that changes later', () => {
    const log = logger('test.level')
    configureLogging({ destination, directives: 'warn,test.level=debug' })
    log.debug('one')
    logger('other').info('left out')
    configureLogging({ destination, directives: 'error' })
    log.debug('left out')
    log.error('two')
    expect(lines().map(line => line.msg)).toEqual(['one', 'two'])
  })

  it('goes on in another place when reconfigured', () => {
    const second: string[] = []
    configureLogging({ destination })
    logger('test').warn('one')
    configureLogging({ destination: { write: line => void second.push(line) } })
    logger('test').warn('two')
    expect([text.includes('one'), text.includes('two'), second.join().includes('two')]).toEqual([
      true,
      false,
      true,
    ])
  })

  it('takes its directives from the environment', () => {
    process.env.SLUICE_LOG = 'test=error'
    configureLogging({ destination })
    delete process.env.SLUICE_LOG
    expect(logger('test').level).toBe('error')
    expect(logger('other').level).toBe('info')
  })

  it('says once what was wrong with the directives, where and how it logs the first line', () => {
    process.env.SLUICE_LOG = 'loud'
    const first: string[] = []
    configureLogging({ destination: { write: line => void first.push(line) } })
    logger('test.before')
    configureLogging({ destination })
    delete process.env.SLUICE_LOG
    logger('test.once').info('x')
    configureLogging({ destination, directives: 'loud' })
    expect(first).toEqual([])
    expect(lines().map(line => line.msg)).toEqual([
      expect.stringContaining('log directive "loud" is left out'),
      'x',
    ])
  })

  it('costs nothing where a level is off: an empty function, and the arguments are not looked at', () => {
    configureLogging({ destination, directives: 'info' })
    const log = logger('test')
    expect(log.debug).toBe(log.trace)
    expect(String(log.debug).replaceAll(/\s/g, '')).toBe('functionnoop(){}')
    log.debug({
      get connection(): string {
        throw new Error('looked at')
      },
    })
    expect(text).toBe('')
  })

  it('writes an error as code, message and causes, with a stack only for what nobody foresaw', () => {
    configureLogging({ destination })
    const cause = Object.assign(new Error('read ECONNRESET', { cause: 'a text' }), { code: 'ECONNRESET' })
    logger('test').warn(
      { error: new SluiceError('DOWNSTREAM_RESET', 'the client reset', { cause }) },
      'ended',
    )
    logger('test').error({ error: new TypeError('x is not a function') }, 'failed')
    logger('test').error(Object.assign(new RangeError('port'), { code: 'ERR_SOCKET_BAD_PORT' }))
    const [foreseen, mistake, argument] = lines()
    expect(foreseen?.error).toEqual({
      code: 'DOWNSTREAM_RESET',
      message: 'the client reset',
      cause: { code: 'ECONNRESET', message: 'read ECONNRESET', cause: 'a text' },
    })
    expect(mistake?.error).toEqual({
      code: 'INTERNAL',
      message: 'x is not a function',
      stack: expect.stringContaining('logger.test.ts'),
    })
    expect(argument).toMatchObject({ msg: 'port', error: { stack: expect.stringContaining('at ') } })
  })

  it('writes the errors of every address that was tried', () => {
    configureLogging({ destination })
    const refused = (host: string) => Object.assign(new Error(`connect ${host}`), { code: 'ECONNREFUSED' })
    const error = Object.assign(new AggregateError([refused('::1'), refused('127.0.0.1')]), {
      code: 'ECONNREFUSED',
    })
    logger('test').warn({ error }, 'x')
    expect(lines()[0]?.error).toMatchObject({
      errors: [{ message: 'connect ::1' }, { message: 'connect 127.0.0.1' }],
    })
  })

  it('survives an error that is its own cause', () => {
    configureLogging({ destination })
    const error = new SluiceError('USAGE', 'x')
    error.cause = error
    logger('test').warn({ error }, 'x')
    expect(text.match(/"cause"/g)).toHaveLength(8)
  })

  it('prints for people with target and time, and errors in full', () => {
    configureLogging({ destination, format: 'pretty' })
    logger('tls').warn(
      { connection: '7', error: new SluiceError('TLS_NOT_TLS', 'no TLS') },
      'handshake failed',
    )
    expect(text).toMatch(/^\[\d\d:\d\d:\d\d\.\d{3}\] WARN: tls: handshake failed \{"connection":"7"\}\n/)
    expect(text).toContain('"code": "TLS_NOT_TLS"')
  })

  it('lets nobody forge lines or move the cursor', () => {
    configureLogging({ destination, format: 'pretty' })
    const evil = 'a\n\u001b[2J\u007f\u009b'
    logger('tls').info({ serverName: evil, error: new SluiceError('USAGE', evil) }, evil)
    logger('tls').error(new Error(evil))
    expect(text).not.toMatch(/[^\P{Cc}\n]/u)
    expect(text).not.toMatch(/^\W*2J/m)
    expect(text.split('\n')[0]).toContain('tls: a\\n\\u001b[2J\\u007f\\u009b {"serverName":"a\\n')
  })
})

describe('logging to standard error', () => {
  const run = (format: string, redirect: string) =>
    spawnSync(
      '/bin/sh',
      [
        '-c',
        `exec "$0" --conditions=@sluice/source --input-type=module-typescript -e "$1" ${redirect}`,
        process.execPath,
        `
        import { configureLogging, logger } from ${JSON.stringify(new URL('./logger.ts', import.meta.url).href)}
        configureLogging({ format: ${JSON.stringify(format)} })
        logger('test').warn('first')
        setImmediate(() => {
          logger('test').warn('last')
          process.stdout.write('alive')
          process.exit(0)
        })`,
      ],
      { encoding: 'utf8' },
    )

  it.each(['json', 'pretty'])('has the last line before the process ends (%s)', format => {
    const { stderr, stdout } = run(format, '')
    expect(stdout).toBe('alive')
    expect(stderr.split('\n')).toEqual([
      expect.stringContaining('first'),
      expect.stringContaining('last'),
      '',
    ])
  })

  it.runIf(process.platform === 'linux')('goes on when the disk is full', () => {
    expect(run('json', '2>/dev/full').stdout).toBe('alive')
  })
})
