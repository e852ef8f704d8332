// What the figures were measured on.
import { closeSync, openSync, writeSync } from 'node:fs'
import { availableParallelism, cpus, release, type } from 'node:os'

export interface Machine {
  readonly cpu: string
  readonly cores: number
  readonly kernel: string
  readonly openssl: string
}

export function machine(): Machine {
  return {
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    cores: availableParallelism(),
    kernel: `${type()} ${release()}`,
    openssl: process.versions.openssl,
  }
}

/**
 * Keeps the cores from halting while they are idle (Linux: a latency of 0 asked of /dev/cpu_dma_latency, for as long as
 * it is open). To wake a halted virtual core is a call to the hypervisor, which whoever writes to a sleeping program
 * pays for: a proxy that is a little slower than the load would be charged for the load's naps as well.
 *
 * @returns ends it; undefined where it is not possible, as for anybody but root
 */
export function keepAwake(): (() => void) | undefined {
  try {
    const file = openSync('/dev/cpu_dma_latency', 'w')
    writeSync(file, Buffer.alloc(4))
    return () => closeSync(file)
  } catch {
    return undefined
  }
}
