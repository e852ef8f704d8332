// Loaded before vitest on Bun. Bun 1.4's ChildProcess has an IPC channel without ref and unref, which vitest calls
// on its watchdog process; without them no worker starts.
import { ChildProcess } from 'node:child_process'

const { unref } = ChildProcess.prototype
ChildProcess.prototype.unref = function () {
  if (this.channel && !this.channel.unref) Object.assign(this.channel, { ref() {}, unref() {} })
  return unref.call(this)
}
