import { useEffect } from 'preact/hooks';
import { Calls } from './calls';
import { Operate } from './operate';
import { route, type View } from './route';
import { access, accessProblem, enter, needsKey, signOut } from './server';
import { SignIn } from './sign_in';
import { Talk } from './talk';

const VIEWS: readonly (readonly [View, string])[] = [
  ['talk', 'Talk'],
  ['calls', 'Calls'],
  ['operate', 'Operate'],
];

export function App() {
  useEffect(() => void enter(), []);
  return (
    <>
      <a class="skip" href="#main">
        Skip to content
      </a>
      <header>
        <h1>
          <Logo /> AgentVoiceBox
        </h1>
        {access.value === 'open' && <Tabs />}
        {access.value === 'open' && needsKey.value && (
          <button type="button" class="quiet" onClick={signOut}>
            Sign out
          </button>
        )}
      </header>
      <main id="main" tabIndex={-1}>
        <Content />
      </main>
    </>
  );
}

function Content() {
  switch (access.value) {
    case 'asking':
      return <p class="hint">Asking the server …</p>;
    case 'key':
      return <SignIn />;
    case 'away':
      return (
        <section class="card narrow" role="alert">
          <h2>The server can't be used now</h2>
          <p>{accessProblem.value}</p>
          <button type="button" onClick={() => void enter()}>
            Try again
          </button>
        </section>
      );
    case 'open':
      return (
        <>
          {/* A call goes on while other views are looked at. */}
          <div hidden={route.value.view !== 'talk'}>
            <Talk />
          </div>
          {route.value.view === 'calls' && <Calls id={route.value.id} />}
          {route.value.view === 'operate' && <Operate />}
        </>
      );
  }
}

function Tabs() {
  return (
    <nav aria-label="Views">
      {VIEWS.map(([view, name]) => (
        <a key={view} href={`#/${view}`} aria-current={route.value.view === view ? 'page' : undefined}>
          {name}
        </a>
      ))}
    </nav>
  );
}

function Logo() {
  return (
    <svg class="logo" viewBox="0 0 24 24" aria-hidden="true">
      <path d="M3 10v4M7.5 6v12M12 3v18M16.5 7v10M21 10v4" />
    </svg>
  );
}
