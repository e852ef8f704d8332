// http-proxy-3, as its documentation has it, with a keep-alive agent.
import { Agent } from 'node:http'
import { createProxyServer } from 'http-proxy-3'
import { origin, serve } from './https-server.ts'

const proxy = createProxyServer({ target: origin, agent: new Agent({ keepAlive: true }) })
// A client that has left; without a listener it would end the process.
proxy.on('error', (_error, _request, response) => response.destroy())
serve((request, response) => proxy.web(request, response))
