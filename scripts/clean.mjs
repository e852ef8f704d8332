// Removes what the build made, so that a file that is gone from the source is gone from the package.
import { rmSync } from 'node:fs'

rmSync(new URL('../packages/sluice/dist', import.meta.url), { recursive: true, force: true })
