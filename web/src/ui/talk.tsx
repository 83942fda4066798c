import { signal, useSignal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import { listDevices } from '../audio/line';
import { TalkSession, type Mode } from '../call/talk_session';
import { ConversationLog } from './conversation_log';
import { Meter } from './meter';
import { agents, mayCall, voices } from './server';
import { TurnsPanel } from './turns_panel';

const session = new TalkSession();
// What the next call is to be; kept over calls.
const chosen = {
  agent: signal(''),
  voice: signal(''),
  mode: signal<Mode>('open'),
  microphone: signal(''),
  loudspeaker: signal(''),
};
const MODES: readonly (readonly [Mode, string])[] = [
  ['open', 'Open microphone'],
  ['push', 'Push to talk'],
  ['type', 'Type only'],
];
const STATES = { idle: '', connecting: 'Connecting …', open: 'On the line', reconnecting: 'Reconnecting …', ended: 'Call ended' };

export function Talk() {
  const state = session.state.value;
  const isLive = state === 'connecting' || state === 'open' || state === 'reconnecting';
  return (
    <div class="talk">
      <section class="card conversation" aria-label="Call">
        {isLive ? <LiveBar /> : <StartBar />}
        <Status />
        <ConversationLog conversation={session.conversation.value} />
        {isLive && <TypeBar />}
      </section>
      <TurnsPanel turns={session.turns.value} />
    </div>
  );
}

function StartBar() {
  const { agent, voice, mode, microphone, loudspeaker } = chosen;
  if (!agents.value.some(({ id }) => id === agent.value)) agent.value = agents.value[0]?.id ?? '';
  const devices = useSignal<Awaited<ReturnType<typeof listDevices>>>({ microphones: [], loudspeakers: [] });
  useEffect(() => void listDevices().then((found) => (devices.value = found)), []);
  const start = (event: Event) => {
    event.preventDefault();
    void session.start({
      agent: agent.value,
      voice: voice.value,
      mode: mode.value,
      microphone: microphone.value,
      loudspeaker: loudspeaker.value,
    });
  };
  return (
    <form class="bar" onSubmit={start}>
      <Choice label="Agent" value={agent} options={agents.value.map(({ id }) => [id, id])} />
      <Choice label="Voice" value={voice} options={[['', "The agent's"], ...voices.value.map(voiceOption)]} />
      <Choice label="Microphone" value={mode} options={MODES} />
      {devices.value.microphones.length > 1 && (
        <Choice label="Input" value={microphone} options={[['', 'Default'], ...devices.value.microphones.map(deviceOption)]} />
      )}
      {devices.value.loudspeakers.length > 1 && (
        <Choice label="Output" value={loudspeaker} options={[['', 'Default'], ...devices.value.loudspeakers.map(deviceOption)]} />
      )}
      <button type="submit" class="primary" disabled={!agent.value}>
        Call
      </button>
      {!agent.value && (
        <p class="problem">
          {mayCall.value
            ? 'This server offers no agent. See AVB_AGENTS_DIR and AVB_KITS.'
            : 'This key may not open calls: it lacks the scope realtime.'}
        </p>
      )}
    </form>
  );
}

interface ChoiceProps<T extends string> {
  readonly label: string;
  readonly value: { value: T };
  readonly options: readonly (readonly [T, string])[];
}

function Choice<T extends string>({ label, value, options }: ChoiceProps<T>) {
  return (
    <label>
      {label}
      <select value={value.value} onChange={(event) => (value.value = event.currentTarget.value as T)}>
        {options.map(([id, name]) => (
          <option key={id} value={id}>
            {name}
          </option>
        ))}
      </select>
    </label>
  );
}

function voiceOption({ name, engine, language }: { name: string; engine: string; language: string }): [string, string] {
  return [name, `${name} (${engine}, ${language})`];
}

function deviceOption({ deviceId, label }: MediaDeviceInfo, index: number): [string, string] {
  return [deviceId, label || `Device ${index + 1}`];
}

function LiveBar() {
  const mode = session.mode.value;
  return (
    <div class="bar">
      <button type="button" class="danger" onClick={() => session.hangUp()}>
        Hang up
      </button>
      {mode === 'open' && (
        <button type="button" aria-pressed={session.isMuted.value} onClick={() => session.setMuted(!session.isMuted.value)}>
          {session.isMuted.value ? 'Unmute' : 'Mute'}
        </button>
      )}
      {mode === 'push' && <PushButton />}
      {mode !== 'type' && <Meter label="You" level={session.microphoneLevel.value} />}
      <Meter label="Agent" level={session.agentLevel.value} />
    </div>
  );
}

function PushButton() {
  const isKey = (event: KeyboardEvent) => event.key === ' ' || event.key === 'Enter';
  return (
    <button
      type="button"
      class="primary push"
      aria-pressed={session.isPressed.value}
      onPointerDown={() => session.press()}
      onPointerUp={() => session.release()}
      onPointerLeave={() => session.release()}
      onKeyDown={(event) => {
        if (isKey(event) && !event.repeat) session.press();
      }}
      onKeyUp={(event) => {
        if (isKey(event)) session.release();
      }}
      onBlur={() => session.release()}
    >
      {session.isPressed.value ? 'Listening: release to send' : 'Hold to talk'}
    </button>
  );
}

function Status() {
  const { degraded, notes } = session.conversation.value;
  const reason = session.reason.value;
  const state = session.state.value;
  return (
    <div class="status" role="status">
      {state !== 'idle' && (
        <span class={`state ${state}`}>
          {STATES[state]}
          {reason && `: ${reason}`}
        </span>
      )}
      {session.sessionId.value && (
        <a href={`#/calls/${session.sessionId.value}`} class="mono">
          {session.sessionId.value}
        </a>
      )}
      {degraded.map((each) => (
        <span key={each} class="badge warning">
          degraded: {each}
        </span>
      ))}
      {notes.length > 0 && (
        <details>
          <summary>{notes.length} settings not in force</summary>
          <ul>
            {notes.map((each) => (
              <li key={each}>{each}</li>
            ))}
          </ul>
        </details>
      )}
    </div>
  );
}

function TypeBar() {
  const text = useSignal('');
  const submit = (event: Event) => {
    event.preventDefault();
    session.say(text.value);
    text.value = '';
  };
  return (
    <form class="bar type" onSubmit={submit}>
      <label class="grow">
        <span class="unseen">Type a message</span>
        <input
          type="text"
          placeholder="Type instead of speaking"
          autocomplete="off"
          value={text.value}
          onInput={(event) => (text.value = event.currentTarget.value)}
        />
      </label>
      <button type="submit" disabled={!text.value.trim() || session.state.value !== 'open'}>
        Send
      </button>
    </form>
  );
}
