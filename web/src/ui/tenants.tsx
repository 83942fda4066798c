import { useSignal } from '@preact/signals';
import { useState } from 'preact/hooks';
import {
  createKey,
  createTenant,
  listKeys,
  listTenants,
  readUsage,
  revokeKey,
  rotateKey,
  setSuspended,
  type ApiKey,
  type ShownKey,
  type Tenant,
} from '../api/administration';
import { clock } from './format';
import { useLoad } from './load';
import { Table } from './table';

const SCOPES = ['realtime', 'client_secrets', 'admin'] as const;

/** Tenants, their keys and usage; for holders of an admin key. */
export function Tenants() {
  const tenants = useLoad('tenants', listTenants);
  const [chosen, choose] = useState('');
  return (
    <section class="card">
      <h2>Tenants and keys</h2>
      {tenants.problem && (
        <p class="hint">
          {tenants.problem} Tenants and keys need a key with the scope <code>admin</code>:{' '}
          <code>agentvoicebox keys create --scope admin</code>
        </p>
      )}
      {tenants.value && (
        <>
          <TenantsTable tenants={tenants.value.data} onChoose={choose} onChange={tenants.reload} />
          <NewTenant onDone={tenants.reload} />
        </>
      )}
      {chosen && <Keys key={chosen} tenant={chosen} />}
    </section>
  );
}

interface TableProps {
  readonly tenants: readonly Tenant[];
  readonly onChoose: (id: string) => void;
  readonly onChange: () => void;
}

function TenantsTable({ tenants, onChoose, onChange }: TableProps) {
  const act = useAction(onChange);
  return (
    <>
      <Table
        name="Tenants"
        head={['Tenant', 'Name', 'State', 'Actions']}
        rows={tenants.map((tenant) => ({
          key: tenant.id,
          cells: [
            tenant.id,
            tenant.name,
            tenant.suspended_at ? <span class="badge bad">suspended</span> : 'active',
            <span class="bar">
              <button type="button" class="quiet" onClick={() => onChoose(tenant.id)}>
                Keys and usage
              </button>
              <button type="button" class="quiet" onClick={() => act.run(() => setSuspended(tenant.id, !tenant.suspended_at))}>
                {tenant.suspended_at ? 'Lift suspension' : 'Suspend'}
              </button>
            </span>,
          ],
        }))}
      />
      <Problem text={act.problem} />
    </>
  );
}

function NewTenant({ onDone }: { onDone: () => void }) {
  const id = useSignal('');
  const act = useAction(onDone);
  return (
    <form
      class="bar"
      onSubmit={(event) => {
        event.preventDefault();
        act.run(() => createTenant(id.value.trim(), ''));
      }}
    >
      <label>
        New tenant
        <input
          value={id.value}
          required
          pattern="[a-z0-9][a-z0-9\-]{0,62}"
          title="Lower-case letters, digits and -"
          onInput={(event) => (id.value = event.currentTarget.value)}
        />
      </label>
      <button type="submit">Create</button>
      <Problem text={act.problem} />
    </form>
  );
}

function Keys({ tenant }: { tenant: string }) {
  const keys = useLoad(tenant, (signal) => listKeys(tenant, signal));
  const usage = useLoad(tenant, (signal) => readUsage(tenant, signal));
  const shown = useSignal<ShownKey | null>(null);
  const act = useAction(keys.reload);
  const show = (ask: () => Promise<ShownKey>) =>
    act.run(async () => {
      shown.value = await ask();
    });
  return (
    <>
      <h3>Keys of {tenant}</h3>
      <Problem text={keys.problem || act.problem} />
      {shown.value && (
        <p role="status">
          The key, shown only now: <code class="mono">{shown.value.key}</code>
        </p>
      )}
      <NewKey onCreate={(name, scopes) => show(() => createKey(tenant, name, scopes))} />
      <Table
        name="Keys"
        head={['Key', 'Name', 'Scopes', 'Validity', 'Actions']}
        rows={(keys.value?.data ?? []).map((key) => ({
          key: key.id,
          cells: [
            <span class="mono">{key.id}</span>,
            key.name,
            key.scopes.join(', '),
            validityOf(key),
            !key.revoked_at && (
              <KeyActions
                id={key.id}
                onRotate={() => show(() => rotateKey(tenant, key.id))}
                onRevoke={() => act.run(() => revokeKey(tenant, key.id))}
              />
            ),
          ],
        }))}
      />
      <h3>Usage of the last 30 days</h3>
      <Problem text={usage.problem} />
      {usage.value && (
        <dl class="facts">
          {Object.entries(usage.value.total).map(([name, value]) => [<dt>{name.replaceAll('_', ' ')}</dt>, <dd>{value}</dd>])}
        </dl>
      )}
    </>
  );
}

function NewKey({ onCreate }: { onCreate: (name: string, scopes: readonly string[]) => void }) {
  const name = useSignal('');
  const scopes = useSignal<readonly string[]>(['realtime', 'client_secrets']);
  const toggle = (scope: string) =>
    (scopes.value = scopes.value.includes(scope) ? scopes.value.filter((each) => each !== scope) : [...scopes.value, scope]);
  return (
    <form
      class="bar"
      onSubmit={(event) => {
        event.preventDefault();
        onCreate(name.value, scopes.value);
      }}
    >
      <label>
        Name of a new key
        <input value={name.value} maxLength={200} onInput={(event) => (name.value = event.currentTarget.value)} />
      </label>
      {SCOPES.map((scope) => (
        <button key={scope} type="button" aria-pressed={scopes.value.includes(scope)} onClick={() => toggle(scope)}>
          {scope}
        </button>
      ))}
      <button type="submit" disabled={!scopes.value.length}>
        Create key
      </button>
    </form>
  );
}

function validityOf(key: ApiKey): string {
  if (key.revoked_at) return 'revoked';
  return key.expires_at ? `until ${clock(key.expires_at)}` : 'no expiry';
}

function KeyActions({ id, onRotate, onRevoke }: { id: string; onRotate: () => void; onRevoke: () => void }) {
  const question = `Revoke ${id}? Clients that use it are refused within a minute.`;
  return (
    <span class="bar">
      <button type="button" class="quiet" onClick={onRotate}>
        Rotate
      </button>
      <button type="button" class="quiet danger" onClick={() => confirm(question) && onRevoke()}>
        Revoke
      </button>
    </span>
  );
}

function Problem({ text }: { text: string }) {
  return text ? (
    <p class="problem" role="alert">
      {text}
    </p>
  ) : null;
}

/** Runs a change, then `onDone`; keeps the reason when it fails. */
function useAction(onDone: () => void): { problem: string; run: (action: () => Promise<unknown>) => void } {
  const [problem, setProblem] = useState('');
  const run = (action: () => Promise<unknown>) => {
    setProblem('');
    action().then(onDone, (error: unknown) => setProblem(error instanceof Error ? error.message : String(error)));
  };
  return { problem, run };
}
