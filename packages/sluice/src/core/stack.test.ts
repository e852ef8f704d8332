import { describe, expect, it } from 'vitest'
import type { Layer, Service } from './service.ts'
import { stack } from './stack.ts'

interface Input {
  readonly seen: string[]
}

/** Adds a property and leaves a trace on the way down and up. */
function add<const Name extends string>(
  name: Name,
  events: string[] = [],
): Layer<Input, Record<Name, string>> {
  return <In extends Input, Out>(next: Service<In & Record<Name, string>, Out>) =>
    async (input: In) => {
      events.push(`${name} down`)
      const answer = await next(Object.assign(input, { [name]: `${name}!` } as Record<Name, string>))
      events.push(`${name} up`)
      return answer
    }
}

describe('stack', () => {
  it('evaluates layers in the order in which they are written, and back', async () => {
    const events: string[] = []
    const service = stack<Input, string>()
      .layer(add('a', events))
      .tap(() => void events.push('tap'))
      .layer(add('b', events))
      .service(input => {
        events.push('service')
        return `${input.a}${input.b}`
      })
    expect(await service({ seen: [] })).toBe('a!b!')
    expect(events).toEqual(['a down', 'tap', 'b down', 'service', 'b up', 'a up'])
  })

  it('without layers is the service itself', () => {
    const service: Service<Input> = () => {}
    expect(stack<Input>().service(service)).toBe(service)
  })

  it('wraps once, not for each input', async () => {
    let wrapped = 0
    const layer: Layer<Input> = next => {
      wrapped++
      return next
    }
    const service = stack<Input>()
      .layer(layer)
      .service(() => {})
    await service({ seen: [] })
    await service({ seen: [] })
    expect(wrapped).toBe(1)
  })

  it('hands the same object on', async () => {
    const input: Input = { seen: [] }
    let reached: unknown
    await stack<Input>()
      .layer(add('a'))
      .service(at => {
        reached = at
      })(input)
    expect(reached).toBe(input)
  })

  it('shares a beginning: each call gives a new stack', async () => {
    const common = stack<Input, string[]>().tap(({ seen }) => void seen.push('common'))
    const left = common.tap(({ seen }) => void seen.push('left')).service(({ seen }) => seen)
    const right = common.service(({ seen }) => seen)
    expect(await left({ seen: [] })).toEqual(['common', 'left'])
    expect(await right({ seen: [] })).toEqual(['common'])
  })

  it('answers in the same turn if all its parts do', () => {
    const service = stack<Input, number>()
      .tap(() => {})
      .service(() => 42)
    expect(service({ seen: [] })).toBe(42)
  })

  it('ends the way down where a tap throws', () => {
    let reached = false
    const service = stack<Input>()
      .tap(() => {
        throw new Error('from tap')
      })
      .service(() => {
        reached = true
      })
    expect(() => service({ seen: [] })).toThrow('from tap')
    expect(reached).toBe(false)
  })

  it('waits for an asynchronous tap, so that its rejection is not left unhandled', async () => {
    const events: string[] = []
    const look = async (fail: boolean) => {
      await Promise.resolve()
      events.push('tap')
      if (fail) throw new Error('from tap')
    }
    const service = (fail: boolean) =>
      stack<Input>()
        .tap(() => look(fail))
        .service(() => void events.push('service'))
    await service(false)({ seen: [] })
    expect(events).toEqual(['tap', 'service'])
    await expect(service(true)({ seen: [] })).rejects.toThrow('from tap')
    expect(events).toEqual(['tap', 'service', 'tap'])
  })
})
