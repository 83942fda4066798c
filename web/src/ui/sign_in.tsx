import { useState } from 'preact/hooks';
import { accessProblem, signIn } from './server';

/** Asks for an API key. It is kept in this tab until the tab is closed. */
export function SignIn() {
  const [key, setKey] = useState('');
  const [isBusy, setBusy] = useState(false);
  const submit = async (event: Event) => {
    event.preventDefault();
    setBusy(true);
    await signIn(key);
    setBusy(false);
  };
  return (
    <form class="card narrow" onSubmit={submit}>
      <h2>Sign in</h2>
      <label>
        API key
        <input
          type="password"
          autocomplete="off"
          spellcheck={false}
          required
          value={key}
          onInput={(event) => setKey(event.currentTarget.value)}
          aria-describedby="key-hint"
        />
      </label>
      <p id="key-hint" class="hint">
        A key of AVB_API_KEYS, or one made by <code>agentvoicebox keys create</code>. It stays in this tab.
      </p>
      {accessProblem.value && (
        <p class="problem" role="alert">
          {accessProblem.value}
        </p>
      )}
      <button type="submit" class="primary" disabled={isBusy || !key.trim()}>
        {isBusy ? 'Signing in …' : 'Sign in'}
      </button>
    </form>
  );
}
