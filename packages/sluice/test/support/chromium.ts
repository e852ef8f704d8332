// Headless Chromium, which takes any certificate and speaks to nobody but those whom it is told to.
import { rm } from 'node:fs/promises'
import { startPeer, temporaryFolder } from './peers.ts'

const FLAGS = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--disable-dev-shm-usage',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--ignore-certificate-errors',
]

export interface Chromium {
  /** What it has written to stdout and stderr so far. */
  output(): string
  stop(): Promise<void>
}

/** Starts it with a profile of its own, on a page. */
export async function startChromium(url: string, flags: readonly string[] = []): Promise<Chromium> {
  const profile = temporaryFolder('sluice-chromium-')
  const peer = await startPeer({
    program: 'chromium',
    package: 'chromium',
    args: [...FLAGS, `--user-data-dir=${profile.path}`, ...flags, url],
  })
  return {
    output: () => peer.output(),
    stop: async () => {
      await peer.stop()
      // Other processes of it still write there for a moment; rmSync of Node 22 does not try again for that.
      await rm(profile.path, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 })
    },
  }
}
