// httpxy, as its documentation has it, with a keep-alive agent.
import { Agent } from 'node:http'
import { createProxyServer } from 'httpxy'
import { origin, serve } from './https-server.ts'

const proxy = createProxyServer({ target: origin, agent: new Agent({ keepAlive: true }) })
// A client that has left.
proxy.on('error', (_error, _request, response) => response?.destroy())
serve((request, response) => {
  // It rejects with what it has told of in 'error' already.
  proxy.web(request, response).catch(() => {})
})
