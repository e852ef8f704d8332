// The core: services and layers, errors, durations and sizes, shutdown, logs.

export { errorFields, errorLevel } from './error-line.ts'
export type { ErrorCode, ErrorKind, Retry, Side } from './errors.ts'
export { errorCode, errorTable, isSluiceError, SluiceError } from './errors.ts'
export type { Logger, LoggingOptions, LogLevel } from './logger.ts'
export { configureLogging, logger } from './logger.ts'
export type { Layer, Service } from './service.ts'
export type { ShutdownOptions, ShutdownOutcome, SignalOptions } from './shutdown.ts'
export { Shutdown } from './shutdown.ts'
export type { Stack } from './stack.ts'
export { stack } from './stack.ts'
export type { Duration, Size } from './units.ts'
export { bytes, milliseconds, oneOf, sizeLimit, timeLimit, wholeNumber } from './units.ts'
