// Sockets: addresses, listening, connecting, relaying.
export type { Address, Endpoint } from './address.ts'
export { IpAddress, NamedAddress, UnixAddress } from './address.ts'
export type { Connected, ConnectLayer, Connector, ConnectRequest } from './connect.ts'
export type { Connection } from './connection.ts'
