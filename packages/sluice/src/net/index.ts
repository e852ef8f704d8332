// Sockets: addresses, listening, connecting, relaying.
export type { Address, Endpoint } from './address.ts'
export { IpAddress, NamedAddress, UnixAddress } from './address.ts'
export type { NetworkSet } from './cidr.ts'
export { networks } from './cidr.ts'
export type { Connected, ConnectLayer, Connector, ConnectRequest } from './connect.ts'
export type { Connection } from './connection.ts'
export { ipAddress, ipBytes, ipFromBytes, localAddress, peerAddress } from './ip.ts'
export { parseEndpoint } from './parse-address.ts'
