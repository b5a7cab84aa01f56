/** Who did what and why, and whether the record of it is whole. */
import { useEffect, useState } from "preact/hooks";
import { api } from "../api";
import type { AuditEntry } from "../api/types";
import { Empty, Field, Loaded, messageOf, time, useLoad } from "../parts/basics";
import { query, setQuery } from "../router";
import { say } from "../state";
import { T } from "../texts";

export function AuditPage() {
  const filters = { who: query.value.who ?? "", action: query.value.action ?? "", object: query.value.object ?? "" };
  const load = useLoad(() => api.audit(filters), [JSON.stringify(filters)]);
  const [more, setMore] = useState<{ items: AuditEntry[]; next: string | null } | null>(null);
  const [verified, setVerified] = useState<string | null>(null);
  useEffect(() => setMore(null), [load.data]);
  const next = more ? more.next : load.data?.next;
  const show = async () => {
    const page = await api.audit({ ...filters, cursor: next });
    setMore({ items: [...(more?.items ?? []), ...page.items], next: page.next ?? null });
  };
  const verify = async () => {
    try {
      const { whole, count, faults } = await api.verify();
      setVerified(whole ? `✓ ${T.audit.good(count)}` : `✕ ${T.audit.bad(faults.map((each) => `${each.object}: ${each.fault}`).join("; "))}`);
    } catch (error) {
      say(messageOf(error), true);
    }
  };
  return (
    <>
      <header class="pagehead">
        <h1>{T.audit.title}</h1>
        <span class="space" />
        <button onClick={verify}>{T.audit.verify}</button>
      </header>
      {verified && <p class={`notice small ${verified.startsWith("✕") ? "bad" : ""}`} role="status">{verified}</p>}
      <section class="filters">
        {(["who", "action", "object"] as const).map((name) => (
          <Field key={name} label={T.audit.columns[name]}>
            <input key={filters[name]} type="search" defaultValue={filters[name]} maxLength={80} onChange={(event) => setQuery({ [name]: event.currentTarget.value })} />
          </Field>
        ))}
      </section>
      <Loaded load={load}>
        {({ items }) => (items.length === 0 ? <Empty title={T.audit.empty} /> : <Entries items={[...items, ...(more?.items ?? [])]} />)}
      </Loaded>
      {next && <button onClick={() => show().catch((error) => say(messageOf(error), true))}>{T.more}</button>}
    </>
  );
}

function Entries({ items }: { items: AuditEntry[] }) {
  const C = T.audit.columns;
  return (
    <div class="scroll">
      <table>
        <thead><tr><th>{C.at}</th><th>{C.who}</th><th>{C.action}</th><th>{C.object}</th><th>{C.why}</th><th>{C.change}</th></tr></thead>
        <tbody>
          {items.map((entry) => (
            <tr key={entry.id}>
              <td>{time(entry.at)}</td>
              <td class="name" title={entry.who}>{entry.who}</td>
              <td>{entry.action}</td>
              <td class="name" title={entry.object}>{entry.object}</td>
              <td class="why">{entry.why || T.none}</td>
              <td>
                {(entry.before || entry.after) ? (
                  <details><summary>{T.audit.columns.change}</summary><pre tabIndex={0}>{JSON.stringify({ before: entry.before, after: entry.after }, null, 2)}</pre></details>
                ) : T.none}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
