import { useSignal } from '@preact/signals';
import { useState } from 'preact/hooks';
import { listSessions, readItems, readSession, readTurns, type Filter, type SessionRecord, type Verdict } from '../api/records';
import { download } from '../api/rest';
import { conversationOf } from '../call/recorded';
import { TurnLedger } from '../call/turn_ledger';
import { ConversationLog } from './conversation_log';
import { clock, duration } from './format';
import { useLoad } from './load';
import { agents } from './server';
import { Table } from './table';
import { TurnsPanel } from './turns_panel';

const EVERY_MS = 5_000;
const NO_FILTER: Filter = { q: '', agent: '', state: '' };

export function Calls({ id }: { id: string }) {
  return id ? <OneCall id={id} /> : <List />;
}

function List() {
  const [filter, setFilter] = useState(NO_FILTER);
  const [after, setAfter] = useState<string | null>(null);
  const page = useLoad(JSON.stringify([filter, after]), (signal) => listSessions(filter, after, signal), EVERY_MS);
  const change = (part: Partial<Filter>) => {
    setAfter(null);
    setFilter({ ...filter, ...part });
  };
  return (
    <section class="card">
      <h2>Calls</h2>
      <Filters filter={filter} onChange={change} />
      {page.problem && (
        <p class="problem" role="alert">
          {page.problem}
        </p>
      )}
      {page.value && <CallsTable sessions={page.value.data} />}
      <div class="bar">
        {after && (
          <button type="button" onClick={() => setAfter(null)}>
            Newest
          </button>
        )}
        {page.value?.has_more && (
          <button type="button" onClick={() => setAfter(page.value?.last_id ?? null)}>
            Older
          </button>
        )}
      </div>
    </section>
  );
}

function Filters({ filter, onChange }: { filter: Filter; onChange: (part: Partial<Filter>) => void }) {
  const text = useSignal(filter.q);
  return (
    <form
      class="bar"
      role="search"
      onSubmit={(event) => {
        event.preventDefault();
        onChange({ q: text.value.trim() });
      }}
    >
      <label class="grow">
        Search
        <input
          type="search"
          placeholder="Id of a call, or words"
          value={text.value}
          onInput={(event) => (text.value = event.currentTarget.value)}
          onBlur={() => text.value.trim() !== filter.q && onChange({ q: text.value.trim() })}
        />
      </label>
      <label>
        Agent
        <select value={filter.agent} onChange={(event) => onChange({ agent: event.currentTarget.value })}>
          <option value="">All</option>
          {agents.value.map(({ id }) => (
            <option key={id}>{id}</option>
          ))}
        </select>
      </label>
      <label>
        State
        <select value={filter.state} onChange={(event) => onChange({ state: event.currentTarget.value })}>
          <option value="">All</option>
          <option value="open">Live</option>
          <option value="ended">Ended</option>
        </select>
      </label>
    </form>
  );
}

function CallsTable({ sessions }: { sessions: readonly SessionRecord[] }) {
  if (!sessions.length) return <p class="hint">No calls.</p>;
  return (
    <Table
      name="Calls"
      head={['Call', 'Agent', 'Began', 'Length', 'Replay', 'Claims']}
      rows={sessions.map((session) => ({
        key: session.id,
        cells: [
          <a class="mono" href={`#/calls/${session.id}`}>
            {session.id}
          </a>,
          agentOf(session),
          clock(session.created_at),
          session.closed_at === null ? <span class="badge live">live</span> : lengthOf(session),
          <Replay verdict={session.verdict} />,
          <Claims verdict={session.verdict} />,
        ],
      }))}
    />
  );
}

function agentOf(session: SessionRecord): string {
  return session.agent ?? session.model ?? '';
}

function lengthOf(session: SessionRecord): string {
  return session.closed_at === null ? 'live' : duration(session.closed_at - session.created_at);
}

function Replay({ verdict }: { verdict: Verdict | null | undefined }) {
  if (!verdict) return <>–</>;
  const isGood = verdict.replay === 'same' && !verdict.invariant_broken;
  const text = verdict.invariant_broken ?? { same: 'same', differs: 'differs', impossible: 'not possible' }[verdict.replay];
  return <span class={`badge ${isGood ? 'good' : verdict.replay === 'impossible' ? '' : 'bad'}`}>{text}</span>;
}

function Claims({ verdict }: { verdict: Verdict | null | undefined }) {
  if (!verdict) return <>–</>;
  const { claims, unfounded, due, reported } = verdict;
  return (
    <span class={`badge ${unfounded ? 'bad' : 'good'}`}>
      {claims - unfounded} of {claims} supported, {reported} of {due} results reported
    </span>
  );
}

function OneCall({ id }: { id: string }) {
  const session = useLoad(id, (signal) => readSession(id, signal), EVERY_MS);
  const items = useLoad(id, (signal) => readItems(id, signal), EVERY_MS);
  const turns = useLoad(id, (signal) => readTurns(id, signal), EVERY_MS);
  const ledger = new TurnLedger();
  for (const trace of turns.value ?? []) ledger.onTrace(trace);
  const problem = session.problem || items.problem;
  return (
    <div class="talk">
      <section class="card conversation" aria-label="Call">
        <p>
          <a href="#/calls">All calls</a>
        </p>
        <h2 class="mono">{id}</h2>
        {problem && (
          <p class="problem" role="alert">
            {problem}
          </p>
        )}
        {session.value && <Facts session={session.value} />}
        {session.value?.has_audio && <Recording id={id} />}
        {items.value && <ConversationLog conversation={conversationOf(items.value)} />}
      </section>
      <TurnsPanel turns={ledger.turns()} />
    </div>
  );
}

function Facts({ session }: { session: SessionRecord }) {
  return (
    <dl class="facts">
      <dt>Agent</dt>
      <dd>{agentOf(session)}</dd>
      <dt>Began</dt>
      <dd>{clock(session.created_at)}</dd>
      <dt>Length</dt>
      <dd>{lengthOf(session)}</dd>
      <dt>Replay</dt>
      <dd>
        <Replay verdict={session.verdict} />
      </dd>
      <dt>Score</dt>
      <dd>
        <Claims verdict={session.verdict} />
      </dd>
    </dl>
  );
}

/** The audio is fetched with the key, which an `audio` element can't send. */
function Recording({ id }: { id: string }) {
  const url = useSignal('');
  const problem = useSignal('');
  const fetchAudio = async () => {
    try {
      url.value = URL.createObjectURL(await download(`/v1/realtime/sessions/${encodeURIComponent(id)}/audio`));
    } catch (error) {
      problem.value = error instanceof Error ? error.message : String(error);
    }
  };
  if (url.value) return <audio controls src={url.value} aria-label="Recording: the caller left, the agent right" />;
  return (
    <p>
      <button type="button" onClick={() => void fetchAudio()}>
        Load recording
      </button>
      {problem.value && (
        <span class="problem" role="alert">
          {problem.value}
        </span>
      )}
    </p>
  );
}
