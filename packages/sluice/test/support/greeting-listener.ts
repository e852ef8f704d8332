// A program for tests: a listener that greets each client and keeps it. Prints its port, and its counts for each line
// of its input; ends with its input. Its argument is the options of the listener as JSON.
import { createInterface } from 'node:readline'
import { type ListenOptions, listen } from '../../src/net/index.ts'

const options: ListenOptions = JSON.parse(process.argv[2] ?? '{}')

const listener = await listen('127.0.0.1:0', options, ({ socket, aborted }) => {
  socket.write('hello')
  socket.resume()
  return new Promise<void>(done => {
    socket.once('close', () => done())
    socket.once('end', () => done())
    aborted.addEventListener('abort', () => done())
  })
})
process.stdout.write(`${listener.address.family === 'unix' ? 0 : listener.address.port}\n`)
for await (const _ of createInterface({ input: process.stdin })) {
  process.stdout.write(`${JSON.stringify(listener.counts)}\n`)
}
await listener.close(0)
