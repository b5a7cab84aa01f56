/** Bearer tokens for machines: each secret is shown once, when it is made. */
import { useState } from "preact/hooks";
import { api } from "../api";
import type { Line, Role, Token, TokenMade } from "../api/types";
import { Dialog, Empty, Field, Form, Loaded, Select, day, messageOf, time, useLoad } from "../parts/basics";
import { AccessTabs } from "../parts/access_tabs";
import { say } from "../state";
import { ROLES, T } from "../texts";

export function TokensPage() {
  const load = useLoad(api.tokens, []);
  const lines = useLoad(api.lines, []);
  const [open, setOpen] = useState<"new" | TokenMade | null>(null);
  const close = () => setOpen(null);
  const made = async (token: TokenMade) => {
    setOpen(token);
    await load.reload();
  };
  const revoke = (token: Token) =>
    confirm(T.tokens.revokeAsk(token.name)) && api.revokeToken(token.id).then(load.reload, (error) => say(messageOf(error), true));
  return (
    <>
      <header class="pagehead">
        <h1>{T.tokens.title}</h1>
        <AccessTabs />
        <span class="space" />
        <button class="primary" onClick={() => setOpen("new")}>+ {T.tokens.add}</button>
      </header>
      <Loaded load={load}>
        {({ items }) =>
          items.length === 0 ? <Empty title={T.tokens.empty}>{T.tokens.emptyHelp}</Empty> : <Table items={items} lines={lines.data?.items ?? []} onRevoke={revoke} />
        }
      </Loaded>
      {open === "new" && <Dialog title={T.tokens.add} onClose={close}><NewToken lines={lines.data?.items ?? []} onMade={made} /></Dialog>}
      {open && open !== "new" && <Dialog title={T.tokens.made(open.name)} onClose={close}><Secret secret={open.secret} onClose={close} /></Dialog>}
    </>
  );
}

function Table({ items, lines, onRevoke }: { items: readonly Token[]; lines: readonly Line[]; onRevoke: (token: Token) => void }) {
  const C = T.tokens.columns;
  const now = new Date().toISOString();
  return (
    <div class="scroll" tabIndex={0} role="region" aria-label={T.tokens.title}>
      <table>
        <thead><tr><th>{C.name}</th><th>{C.role}</th><th>{C.line}</th><th>{C.created}</th><th>{C.used}</th><th>{C.ends}</th><th><span class="hidden">{T.actions}</span></th></tr></thead>
        <tbody>
          {items.map((token) => (
            <tr key={token.id}>
              <td class="name" title={token.name}>{token.name}</td>
              <td>{token.role}</td>
              <td class="name">{token.line_id === null ? T.tokens.anyLine : (lines.find(({ id }) => id === token.line_id)?.name ?? token.line_id)}</td>
              <td>{day(token.created_at)}</td>
              <td>{token.last_used ? time(token.last_used) : T.tokens.never}</td>
              <td>{endOf(token, now)}</td>
              <td class="actions">{!token.revoked_at && <button aria-label={`${T.tokens.revoke}: ${token.name}`} onClick={() => onRevoke(token)}>{T.tokens.revoke}</button>}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

/** When a token ends, or that it has ended. */
function endOf({ revoked_at, expires_at }: Token, now: string): string {
  if (revoked_at) return `✕ ${T.tokens.revoked(day(revoked_at))}`;
  if (!expires_at) return T.tokens.noEnd;
  return expires_at < now ? `✕ ${T.tokens.expired(day(expires_at))}` : day(expires_at);
}

function NewToken({ lines, onMade }: { lines: readonly Line[]; onMade: (token: TokenMade) => Promise<void> }) {
  const send = async ({ name = "", role, line, days }: Record<string, string>) =>
    onMade(await api.addToken({ name, role: role as Role, line_id: line ? Number(line) : null, days: days ? Number(days) : null }));
  return (
    <Form submit={T.tokens.create} onSubmit={send}>
      <p>{T.tokens.emptyHelp}</p>
      <Field label={T.tokens.columns.name}><input name="name" required autofocus maxLength={80} autocomplete="off" /></Field>
      <Field label={T.tokens.columns.role}>
        <Select name="role" options={Object.entries(ROLES)} value="operator" />
      </Field>
      <Field label={T.tokens.onlyLine}>
        <Select name="line" options={[["", T.tokens.anyLine], ...lines.map(({ id, name }) => [String(id), name] as const)]} />
      </Field>
      <Field label={T.tokens.days} help={T.tokens.daysHelp}><input name="days" type="number" min={1} max={3650} defaultValue={365} /></Field>
    </Form>
  );
}

/** The secret of a new token, which no later answer has. */
function Secret({ secret, onClose }: { secret: string; onClose: () => void }) {
  const copy = () => navigator.clipboard.writeText(secret).then(() => say(T.tokens.copied), () => say(T.tokens.notCopied, true));
  return (
    <>
      <p><b>{T.tokens.once}</b></p>
      <Field label={T.tokens.secret} help={T.tokens.use}><input readOnly value={secret} class="secret" onFocus={(event) => event.currentTarget.select()} /></Field>
      <div class="actions">
        <button class="primary" onClick={copy}>{T.tokens.copy}</button>
        <button onClick={onClose}>{T.close}</button>
      </div>
    </>
  );
}
