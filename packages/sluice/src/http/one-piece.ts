/**
 * Text of Latin-1 characters in one piece of memory. What was put together stays a tree of its pieces, which are collected
 * each time that it is written: worth it for text that is written often.
 */
export function inOnePiece(text: string): string {
  return Buffer.from(text, 'latin1').toString('latin1')
}
