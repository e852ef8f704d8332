// The layer that writes a line for each exchange that is over.
import { isatty } from 'node:tty'
import { type Layer, oneOf, SluiceError } from '../../core/index.ts'
import { type AccessFormat, combinedLine, jsonLine, prettyLine } from '../access-log/formats.ts'
import { LineBatch } from '../access-log/line-batch.ts'
import { type AccessLogDestination, customOutput, descriptorOutput } from '../access-log/outputs.ts'
import type { HttpRequest, RequestOutcome } from '../request.ts'

export type { AccessLogDestination } from '../access-log/outputs.ts'

export interface AccessLogOptions {
  /**
   * `json`: an object a line. `combined`: the format of Apache and nginx of that name. `pretty`: for people.
   * @default 'pretty' on a terminal, 'json' elsewhere
   */
  readonly format?: 'json' | 'combined' | 'pretty'
  /**
   * Where lines go: standard output, standard error, or what has a `write`, such as a stream of `fs.createWriteStream`.
   * @default 'stdout'
   */
  readonly destination?: 'stdout' | 'stderr' | AccessLogDestination
  /**
   * Which share of the exchanges is logged, 0 to 1. Those that failed, with a 5xx or a code of an error, always are.
   * @default 1
   */
  readonly sample?: number
  /**
   * Whether `pretty` has colours.
   * @default on a terminal, unless NO_COLOR is set
   */
  readonly colour?: boolean
}

/**
 * Writes a line for each exchange when it is over, also for one that broke off. It should be the first layer, so that
 * times are counted from the request's head. What peers send is escaped to visible ASCII: no line can be forged.
 *
 * Lines go out in batches, at the end of a turn of the event loop but those within 20 ms together, and what is left when the process
 * exits; what a process that is killed had not written is lost. A destination that fails or takes nothing never stops the proxy: up to 1 MB is kept for
 * it, further lines are dropped and counted, and the log says so once. Standard output and standard error are never waited for.
 *
 * @example
 * ```ts
 * stack<HttpRequest, HttpResponse>()
 *   .layer(accessLog({ format: 'json' }))
 *   .layer(requestId())
 *   .service(reverseProxy('http://127.0.0.1:3000'))
 * ```
 * @throws {SluiceError} `OPTION_INVALID`
 */
export function accessLog(options: AccessLogOptions = {}): Layer<HttpRequest> {
  const { destination = 'stdout', sample = 1 } = options
  if (!(sample >= 0 && sample <= 1)) {
    throw new SluiceError('OPTION_INVALID', `sample is ${sample}; it must be a number from 0 to 1`)
  }
  const descriptor = typeof destination === 'string' ? descriptorOf(destination) : undefined
  const terminal = descriptor !== undefined && isatty(descriptor)
  const format = formatOf(options, terminal)
  const lines = new LineBatch(
    typeof destination === 'string' ? descriptorOutput(descriptorOf(destination)) : customOutput(destination),
  )
  return next =>
    function accessLog(request) {
      const time = Date.now()
      request.observe(outcome => {
        if (sample < 1 && !hasFailed(request, outcome) && Math.random() >= sample) return
        lines.add(format({ time, request, outcome }))
      })
      return next(request)
    }
}

function descriptorOf(destination: 'stdout' | 'stderr'): 1 | 2 {
  return oneOf('destination', destination, ['stdout', 'stderr']) === 'stdout' ? 1 : 2
}

function formatOf({ format, colour }: AccessLogOptions, terminal: boolean): AccessFormat {
  const chosen = format ?? (terminal ? 'pretty' : 'json')
  switch (oneOf('format', chosen, ['json', 'combined', 'pretty'])) {
    case 'json':
      return jsonLine
    case 'combined':
      return combinedLine
    case 'pretty':
      // https://no-color.org: set to anything but nothing.
      return prettyLine(colour ?? (terminal && !process.env.NO_COLOR))
  }
}

function hasFailed({ notes }: HttpRequest, { status = 500, error }: RequestOutcome): boolean {
  return status >= 500 || error !== undefined || notes?.error !== undefined
}
