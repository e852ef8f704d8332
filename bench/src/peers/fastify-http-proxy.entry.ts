// @fastify/http-proxy, as its documentation has it: on Fastify, with the undici pool that it brings.
import httpProxy from '@fastify/http-proxy'
import fastify from 'fastify'
import { listening, origin, tlsOptions } from './https-server.ts'

const server = fastify({ https: tlsOptions })
// Its default of 128 connections would have the row of a thousand downloads wait in its queue.
await server.register(httpProxy, { upstream: origin, undici: { connections: 2048, pipelining: 1 } })
await server.listen(listening)
