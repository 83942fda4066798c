import type { Allowance, Status } from '../api/status';
import { Table } from './table';

/** Gateways, workers, queues, sessions, breakers and limits. */
export function StatusCards({ status }: { status: Status }) {
  return (
    <div class="columns">
      <section class="card">
        <h2>Server</h2>
        <Facts status={status} />
        <Rows
          name="Gateways"
          head={['Gateway', 'Calls', 'State', 'Seen']}
          rows={(status.gateways ?? []).map((each) => [
            each.id,
            `${each.calls} of ${each.max_calls}`,
            each.is_draining ? 'draining' : 'open',
            `${Math.max(0, Math.round(status.at - each.heartbeat_at))} s ago`,
          ])}
        />
      </section>
      <section class="card">
        <h2>Work</h2>
        <Rows
          name="Work"
          head={['Kind', 'Workers', 'Running', 'Waiting', 'Oldest', 'Dead']}
          rows={status.work.map((each) => [
            each.kind,
            String(each.workers),
            known(each.running),
            known(each.waiting),
            `${each.queue_age_s.toFixed(1)} s`,
            known(each.dead),
          ])}
        />
        <Rows name="Breakers" head={['Breaker', 'State']} rows={status.breakers.map((each) => [each.name, each.state])} />
      </section>
      <section class="card">
        <h2>Limits</h2>
        <Rows
          name="Limits"
          head={['Of', 'Requests', 'Tokens', 'Sessions']}
          rows={[
            limitsOf('all tenants', status.limits.all_tenants),
            limitsOf('each tenant', status.limits.tenant),
            limitsOf('each key', status.limits.key),
          ]}
        />
        <Rows
          name="Used"
          head={['Limit', 'Left', 'Of']}
          rows={status.limits.used.map((each) => [each.name, String(each.remaining), String(each.limit)])}
        />
        <Rows
          name="Open sessions"
          head={['Tenant', 'Open sessions']}
          rows={Object.entries(status.sessions?.by_tenant ?? {}).map(([tenant, count]) => [tenant, String(count)])}
        />
      </section>
    </div>
  );
}

function Facts({ status }: { status: Status }) {
  const { readiness, store } = status;
  return (
    <dl class="facts">
      <dt>State</dt>
      <dd>
        <span class={`badge ${readiness.status === 'ready' ? 'good' : 'bad'}`}>{readiness.status}</span>
        {readiness.is_busy && <span class="badge warning">busy: new calls are refused</span>}
      </dd>
      <dt>Version</dt>
      <dd>{status.version}</dd>
      <dt>Degraded</dt>
      <dd>{status.degraded.length ? status.degraded.join(', ') : 'nothing'}</dd>
      <dt>Store</dt>
      <dd>
        {store.is_available ? `${Math.round(store.memory_share * 100)} % of its memory, ${store.memory_level}` : 'away'}
      </dd>
      <dt>Open sessions</dt>
      <dd>{known(status.sessions?.total ?? null)}</dd>
    </dl>
  );
}

function known(count: number | null): string {
  return count === null ? 'unknown' : String(count);
}

function limitsOf(of: string, { requests, tokens, sessions, window_s }: Allowance): string[] {
  const within = (count: number | null) => (count === null ? 'no limit' : `${count} in ${window_s} s`);
  return [of, within(requests), within(tokens), sessions === null ? 'no limit' : String(sessions)];
}

function Rows({ name, head, rows }: { name: string; head: readonly string[]; rows: readonly (readonly string[])[] }) {
  return <Table name={name} head={head} rows={rows.map((cells) => ({ key: cells[0] ?? '', cells }))} />;
}
