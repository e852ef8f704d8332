import { describe, expect, it } from 'vitest'
import { captureLogs } from '../../test/support/logs.ts'
import { type AnswerListener, type HttpRequest, type HttpResponse, LateAnswer, text } from './index.ts'
import { ask } from './late-answer.ts'

const logs = captureLogs()

/** A listener that writes down what it hears. */
function listening(): AnswerListener & { heard: unknown[] } {
  const heard: unknown[] = []
  return {
    heard,
    onAnswer: response => void heard.push(response),
    onFailure: error => void heard.push(error),
  }
}

const request = {} as HttpRequest
const response = text('late')
const error = new Error('failed')

describe('LateAnswer', () => {
  it('calls a listener at once, when it is answered or if it was', () => {
    const answer = new LateAnswer()
    const early = listening()
    const second = listening()
    const late = listening()
    answer.tell(early)
    answer.tell(second)
    expect(early.heard).toEqual([])
    answer.resolve(response)
    answer.tell(late)
    for (const { heard } of [early, second, late]) expect(heard).toEqual([response])
  })

  it('is settled once', async () => {
    const answered = new LateAnswer()
    answered.resolve(response)
    answered.reject(error)
    answered.resolve(text('other'))
    expect(await answered).toBe(response)
    const failed = new LateAnswer()
    failed.reject(error)
    failed.resolve(response)
    await expect(failed).rejects.toBe(error)
  })

  it('is a promise to whoever takes it for one, beside its listeners', async () => {
    const answer = new LateAnswer()
    const status = answer.then(({ status }) => status)
    const listener = listening()
    answer.tell(listener)
    let over = false
    const last = answer.finally(() => {
      over = true
    })
    answer.resolve(response)
    expect(listener.heard).toEqual([response])
    expect(await status).toBe(200)
    expect(await Promise.all([last, (async () => answer)()])).toEqual([response, response])
    expect(over).toBe(true)
    const failed = new LateAnswer()
    failed.reject(error)
    expect(await failed.catch(reason => reason)).toBe(error)
  })

  it('logs what goes wrong in a listener, and calls the next', () => {
    const answer = new LateAnswer()
    const broken: AnswerListener = {
      onAnswer: () => {
        throw error
      },
      onFailure: () => undefined,
    }
    const listener = listening()
    answer.tell(broken)
    answer.tell(listener)
    answer.resolve(response)
    expect(listener.heard).toEqual([response])
    expect(logs.splice(0).map(line => line.msg)).toEqual(['an answer could not be handed on'])
  })
})

describe('ask', () => {
  const late = new LateAnswer()
  late.resolve(response)

  it.each<[string, () => HttpResponse | Promise<HttpResponse>]>([
    ['that is there', () => response],
    ['that is late', () => late],
    ['in a promise', async () => response],
  ])('hears an answer %s', async (_name, service) => {
    const listener = listening()
    ask(service, request, listener)
    await Promise.resolve()
    expect(listener.heard).toEqual([response])
  })

  it.each<[string, () => HttpResponse | Promise<HttpResponse>]>([
    [
      'that is thrown',
      () => {
        throw error
      },
    ],
    ['in a promise', () => Promise.reject(error)],
  ])('hears a failure %s', async (_name, service) => {
    const listener = listening()
    ask(service, request, listener)
    await Promise.resolve()
    expect(listener.heard).toEqual([error])
  })
})
