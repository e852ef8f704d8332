// fast-proxy, as its documentation has it: on node:http with the keep-alive agent that it brings.
import fastProxy from 'fast-proxy'
import { origin, serve } from './https-server.ts'

const { proxy } = fastProxy({ base: origin })
serve((request, response) => proxy(request, response, request.url ?? '/', {}))
