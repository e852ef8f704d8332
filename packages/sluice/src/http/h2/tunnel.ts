// An HTTP/2 stream as the byte stream of a tunnel (RFC 8441, section 5; RFC 9113, section 8.5).
import { constants, type ServerHttp2Stream } from 'node:http2'
import { SluiceError } from '../../core/index.ts'
import type { Stream } from '../../net/index.ts'
import type { Traffic } from './traffic.ts'

/**
 * Makes a tunnel of a stream whose answer has been sent.
 *
 * A stream that was reset, or whose session is gone, is closed by the platform as one that ended: it must fail, so that
 * the other end of the tunnel is not told of an orderly end.
 */
export function tunnelOver(stream: ServerHttp2Stream, traffic: Traffic): Stream {
  const { destroy, write } = stream
  let resetByUs = false
  stream.destroy = error => {
    const inOrder = stream.readableEnded && stream.writableFinished && stream.rstCode === 0
    return destroy.call(stream, error ?? (inOrder ? undefined : broken()))
  }
  stream.write = ((chunk: Buffer, encoding: BufferEncoding, callback: () => void) => {
    traffic.sent(chunk.length)
    return write.call(stream, chunk, encoding, callback)
  }) as typeof write
  // Ahead of the reset that is sent, too, which would be lost if the stream were destroyed here.
  stream.once('aborted', () => resetByUs || stream.destroy())
  // Nothing but DATA may come here.
  stream.once('trailers', () => reset(constants.NGHTTP2_PROTOCOL_ERROR))
  stream.once('headers', () => reset(constants.NGHTTP2_PROTOCOL_ERROR))
  // Paused before there is a listener, so that nothing is lost until the tunnel reads.
  stream.pause()
  stream.on('data', (chunk: Buffer) => traffic.received(chunk.length))
  return { socket: stream, reset: () => reset(constants.NGHTTP2_CANCEL) }

  function reset(code: number): void {
    resetByUs = true
    // The platform ends a stream ahead of its reset: a client that has ended its side would take that for the whole.
    stream.end = () => stream
    stream.close(code)
    stream.destroy()
  }
}

function broken(): SluiceError {
  return new SluiceError('DOWNSTREAM_RESET', 'the stream was reset, or its connection is gone')
}
