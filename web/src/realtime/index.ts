// A Realtime client for browsers that keeps its call when the connection breaks. No dependency.

export { RealtimeCall } from './call';
export type { CallOptions, CallState, Resumption } from './call';
export { base64OfPcm, pcmOfBase64 } from './pcm';
export { SentAudio } from './sent_audio';
export type { ClientEvent, ServerEvent } from './events';
