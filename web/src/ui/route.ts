// The address of a view is the fragment of the page's: `#/calls/sess_…`. Links to a call can be shared.

import { signal } from '@preact/signals';

export type View = 'talk' | 'calls' | 'operate';

export interface Route {
  readonly view: View;
  readonly id: string;
}

export function readRoute(hash: string): Route {
  const [view = '', id = ''] = hash.replace(/^#\/?/, '').split('/');
  return view === 'calls' || view === 'operate' ? { view, id: decodeURIComponent(id) } : { view: 'talk', id: '' };
}

export const route = signal<Route>(readRoute(location.hash));
addEventListener('hashchange', () => (route.value = readRoute(location.hash)));
