/** Logging in, and making the first administrator by the one-time code of the console. */
import { useState } from "preact/hooks";
import { api } from "../api";
import { Field, Form, Loaded, useLoad } from "../parts/basics";
import { me } from "../state";
import { T } from "../texts";

export function LoginPage() {
  const health = useLoad(api.health, []);
  const [first, setFirst] = useState<boolean | null>(null);
  return (
    <main class="login">
      <h1 class="brand">blemish</h1>
      <Loaded load={health}>
        {({ needs_setup, version }) => (
          <>
            {first ?? needs_setup ? <FirstAdmin /> : <LogIn />}
            {needs_setup && (
              <button class="link" onClick={() => setFirst(!(first ?? true))}>
                {first ?? true ? T.login.toLogin : T.login.toFirst}
              </button>
            )}
            <p class="faint">{version}</p>
          </>
        )}
      </Loaded>
    </main>
  );
}

function LogIn() {
  return (
    <section class="panel">
      <h2>{T.login.title}</h2>
      <Form
        submit={T.login.submit}
        onSubmit={async ({ name = "", password = "" }) => {
          me.value = await api.logIn({ name, password });
        }}
      >
        <Field label={T.login.name}>
          <input name="name" required autocomplete="username" autofocus maxLength={64} />
        </Field>
        <Field label={T.login.password}>
          <input name="password" type="password" required autocomplete="current-password" maxLength={200} />
        </Field>
      </Form>
    </section>
  );
}

function FirstAdmin() {
  return (
    <section class="panel">
      <h2>{T.login.firstTitle}</h2>
      <p>{T.login.firstHelp}</p>
      <Form
        submit={T.login.create}
        onSubmit={async ({ code = "", name = "", password = "" }) => {
          me.value = await api.setUp({ code, name, password });
        }}
      >
        <Field label={T.login.code}>
          <input name="code" required autofocus autocomplete="one-time-code" maxLength={64} />
        </Field>
        <Field label={T.login.name}>
          <input name="name" required autocomplete="username" maxLength={64} />
        </Field>
        <Field label={T.login.password} help={T.login.passwordHelp}>
          <input name="password" type="password" required minLength={10} autocomplete="new-password" maxLength={200} />
        </Field>
      </Form>
    </section>
  );
}
