// Time in the hands of the tests: the sweep's timer and clock are replaced (vi.advanceTimersByTime), sockets are real.
import { afterEach, beforeEach, vi } from 'vitest'
import { stopHttp } from './http.ts'
import { captureLogs } from './logs.ts'
import { closeSockets } from './sockets.ts'

/** Holds the time that sweeps go by; `vi.useRealTimers` lets it go. */
export function holdTime(): void {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'performance'] })
}

/**
 * Holds time in each test of a file, and stops afterwards what was started with `startHttp` and on sockets.
 *
 * @returns the lines that the test's log has
 */
export function testsInHeldTime(): ReturnType<typeof captureLogs> {
  const logs = captureLogs()
  beforeEach(holdTime)
  afterEach(async () => {
    vi.useRealTimers()
    await stopHttp()
    await closeSockets()
    logs.length = 0
  })
  return logs
}
