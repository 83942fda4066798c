import { readStatus } from '../api/status';
import { useLoad } from './load';
import { StatusCards } from './status_cards';
import { Tenants } from './tenants';

const EVERY_MS = 2_000;

/** A small live view for operators. Time series are Prometheus's business. */
export function Operate() {
  const status = useLoad('status', readStatus, EVERY_MS);
  return (
    <>
      {status.problem && (
        <p class="card problem" role="alert">
          {status.problem}
        </p>
      )}
      {status.value && <StatusCards status={status.value} />}
      <Tenants />
    </>
  );
}
