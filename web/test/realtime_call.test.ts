import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { RealtimeCall, type CallOptions } from '../src/realtime/call';
import { pcmOfBase64 } from '../src/realtime/pcm';
import { FakeSocket } from './fake_socket';

const CREATED = {
  type: 'session.created',
  event_id: 'event_1',
  session: { id: 'sess_a' },
  agentvoicebox: { resume_token: 'token' },
};
const RESUMED = { type: 'agentvoicebox.resumed', event_id: 'event_r', audio_start_ms: 0, is_complete: true };

let states: string[];
let types: string[];

function call(more: Partial<CallOptions> = {}): RealtimeCall {
  return new RealtimeCall({
    url: 'ws://localhost/v1/realtime',
    model: 'delivery',
    onEvent: (event) => types.push(event.type),
    onState: (state, reason) => states.push(reason ? `${state}: ${reason}` : state),
    WebSocket: FakeSocket as unknown as NonNullable<CallOptions['WebSocket']>,
    now: () => Date.now(),
    ...more,
  });
}

beforeEach(() => {
  vi.useFakeTimers();
  FakeSocket.opened = [];
  states = [];
  types = [];
});
afterEach(() => void vi.useRealTimers());

describe('a call', () => {
  it('asks for an agent, a resumable session and its trace, with the secret as a subprotocol', () => {
    call({ secret: 'ek_1', trace: true });
    const { query, protocols } = FakeSocket.last;
    expect(Object.fromEntries(query)).toEqual({ model: 'delivery', trace: '1', resume: '1' });
    expect(protocols).toEqual(['realtime', 'openai-insecure-api-key.ek_1']);
  });

  it('sends what was sent before the session was created, once it is, each with an id', () => {
    const it = call();
    it.send({ type: 'session.update' });
    expect(FakeSocket.last.sent).toEqual([]);
    FakeSocket.last.serve(CREATED);
    expect(FakeSocket.last.sent).toEqual([{ type: 'session.update', event_id: 'evt_1' }]);
    expect(states).toEqual(['open']);
  });

  it('ends with the reason of a refusal', () => {
    call();
    FakeSocket.last.serve({ type: 'error', error: { message: 'There is no agent.' } });
    FakeSocket.last.end(4000, 'invalid_request_error.model_not_found');
    expect(states).toEqual(['ended: There is no agent.']);
  });

  it('ends when the server is not there', () => {
    call();
    FakeSocket.last.end(1006);
    expect(states).toEqual(['ended: the server did not answer']);
  });
});

describe('a call whose connection breaks', () => {
  it('resumes after its last event, and sends the audio and the events that the server lacks', () => {
    const it = call();
    FakeSocket.last.serve(CREATED);
    FakeSocket.last.serve({ type: 'response.created', event_id: 'event_2', response: {} });
    FakeSocket.last.serve({ type: 'agentvoicebox.turn', event_id: 'event_t', turn: {} });
    it.send({ type: 'a' });
    it.appendAudio(Int16Array.from({ length: 24_000 }, (_, at) => at));
    FakeSocket.last.end(1006);
    it.send({ type: 'b' });
    it.appendAudio(new Int16Array(480));
    vi.advanceTimersByTime(20);
    expect(Object.fromEntries(FakeSocket.last.query)).toEqual({
      model: 'delivery',
      resume: '1',
      session_id: 'sess_a',
      last_event_id: 'event_2',
      audio_from_ms: '0',
      audio_until_ms: '1020',
      resume_token: 'token',
    });
    FakeSocket.last.serve({ ...RESUMED, audio_start_ms: 500, last_client_event_id: 'evt_1' });
    const [first, second, own] = FakeSocket.last.sent;
    expect(pcmOfBase64(first?.['audio'])[0]).toBe(12_000);
    expect(first?.['type']).toBe('input_audio_buffer.append');
    expect(pcmOfBase64(second?.['audio'])).toHaveLength(480);
    expect(own).toEqual({ type: 'b', event_id: 'evt_2' });
    expect(states).toEqual(['open', 'reconnecting: connection lost', 'open']);
  });

  it('tells how long the gap was, and whether events were missed', () => {
    const resumptions: unknown[] = [];
    call({ onResumed: (each) => resumptions.push(each) });
    FakeSocket.last.serve(CREATED);
    FakeSocket.last.end(1012, 'shutdown');
    vi.advanceTimersByTime(20);
    FakeSocket.last.serve({ ...RESUMED, is_complete: false });
    expect(resumptions).toEqual([{ gapMs: 20, isComplete: false }]);
  });

  it('tries again until the time is over', () => {
    call({ reconnectForMs: 2_000 });
    FakeSocket.last.serve(CREATED);
    FakeSocket.last.end(1006);
    for (let tries = 0; tries < 20 && states.at(-1) !== 'ended: connection lost'; tries++) {
      vi.advanceTimersByTime(500);
      if (!FakeSocket.last.isClosed) FakeSocket.last.end(1006);
    }
    expect(states.at(-1)).toBe('ended: connection lost');
    expect(FakeSocket.opened.length).toBeGreaterThan(4);
  });

  it.each([
    ['another connection has the session', 1013, 'session_taken'],
    ['the server ended it', 1001, ''],
    ['the session is gone', 4000, 'invalid_request_error.session_not_found'],
  ])('ends when %s', (_, code, reason) => {
    call();
    FakeSocket.last.serve(CREATED);
    FakeSocket.last.end(code, reason);
    expect(states.at(-1)).toMatch(/^ended/);
    vi.advanceTimersByTime(30_000);
    expect(FakeSocket.opened).toHaveLength(1);
  });

  it('treats a server that does not answer as a broken connection', () => {
    call();
    FakeSocket.last.serve(CREATED);
    FakeSocket.last.end(1006);
    vi.advanceTimersByTime(20);
    const silent = FakeSocket.last;
    vi.advanceTimersByTime(5_100);
    expect(silent.isClosed).toBe(true);
    expect(FakeSocket.last).not.toBe(silent);
  });

  it('does not come back after the caller hung up', () => {
    const it = call();
    FakeSocket.last.serve(CREATED);
    FakeSocket.last.end(1006);
    it.hangUp();
    vi.advanceTimersByTime(30_000);
    expect(FakeSocket.opened).toHaveLength(1);
    expect(states.at(-1)).toBe('ended');
  });
});
