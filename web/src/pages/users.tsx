/** Users and their roles, for administrators. */
import { useState } from "preact/hooks";
import { api } from "../api";
import type { Role, User } from "../api/types";
import { Dialog, Field, Form, Loaded, Select, messageOf, time, useLoad } from "../parts/basics";
import { AccessTabs } from "../parts/access_tabs";
import { me, say } from "../state";
import { ROLES, T } from "../texts";

export function UsersPage() {
  const load = useLoad(api.users, []);
  const [edited, setEdited] = useState<User | "new" | null>(null);
  const done = async () => {
    setEdited(null);
    await load.reload();
  };
  const toggle = (user: User) => api.changeUser(user.id, { active: !user.active }).then(done, (error) => say(messageOf(error), true));
  return (
    <>
      <header class="pagehead">
        <h1>{T.users.title}</h1>
        <AccessTabs />
        <span class="space" />
        <button class="primary" onClick={() => setEdited("new")}>+ {T.users.add}</button>
      </header>
      <Loaded load={load}>
        {({ items }) => (
          <div class="scroll">
            <table>
              <thead><tr><th>{T.users.name}</th><th>{T.users.role}</th><th>{T.users.state}</th><th>{T.users.created}</th><th><span class="hidden">{T.actions}</span></th></tr></thead>
              <tbody>
                {items.map((user) => (
                  <tr key={user.id}>
                    <td class="name" title={user.name}>{user.name} {user.name === me.value?.name && <span class="faint">({T.users.you})</span>}</td>
                    <td>{user.role}</td>
                    <td>{user.active ? `✓ ${T.users.active}` : `✕ ${T.users.inactive}`}</td>
                    <td>{time(user.created_at)}</td>
                    <td class="actions">
                      <button onClick={() => setEdited(user)}>{T.users.edit}</button>
                      <button onClick={() => toggle(user)}>{user.active ? T.users.deactivate : T.users.activate}</button>
                    </td>
                  </tr>
                ))}
              </tbody>
            </table>
          </div>
        )}
      </Loaded>
      {edited && (
        <Dialog title={edited === "new" ? T.users.add : edited.name} onClose={() => setEdited(null)}>
          <UserForm of={edited === "new" ? null : edited} onDone={done} />
        </Dialog>
      )}
    </>
  );
}

function UserForm({ of, onDone }: { of: User | null; onDone: () => Promise<void> }) {
  const send = async ({ name = "", role, password = "" }: Record<string, string>) => {
    if (of) await api.changeUser(of.id, { role: role as Role, ...(password ? { password } : {}) });
    else await api.addUser({ name, role: role as Role, password });
    await onDone();
  };
  return (
    <Form submit={T.save} onSubmit={send}>
      {!of && <Field label={T.users.name}><input name="name" required autofocus maxLength={64} pattern="[A-Za-z0-9][A-Za-z0-9._@\-]*" autocomplete="off" /></Field>}
      <Field label={T.users.role}>
        <Select name="role" options={Object.entries(ROLES)} value={of?.role ?? "operator"} />
      </Field>
      <Field label={of ? T.users.newPassword : T.users.password} help={T.users.passwordHelp}>
        <input name="password" type="password" required={!of} minLength={10} maxLength={200} autocomplete="new-password" />
      </Field>
    </Form>
  );
}
