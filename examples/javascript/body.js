// The body of a request, with a bound.

/** The bytes; null when there are more than `most`. */
export async function readBody(request, most) {
  const pieces = [];
  let size = 0;
  for await (const piece of request) {
    size += piece.length;
    if (size > most) return null;
    pieces.push(piece);
  }
  return Buffer.concat(pieces);
}
