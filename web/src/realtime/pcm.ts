// 16-bit little-endian PCM to base64 and back.

const CHUNK = 0x8000; // arguments of one call

/** Base64 of samples. */
export function base64OfPcm(pcm: Int16Array): string {
  const bytes = new Uint8Array(pcm.buffer, pcm.byteOffset, pcm.byteLength);
  let text = '';
  for (let at = 0; at < bytes.length; at += CHUNK) {
    text += String.fromCharCode(...bytes.subarray(at, at + CHUNK));
  }
  return btoa(text);
}

/** Samples of base64; an odd last byte is ignored. */
export function pcmOfBase64(text: string): Int16Array {
  const binary = atob(text);
  const bytes = new Uint8Array(binary.length & ~1);
  for (let at = 0; at < bytes.length; at++) bytes[at] = binary.charCodeAt(at);
  return new Int16Array(bytes.buffer);
}
