/** The list of parts; its filters are in the address. */
import { useEffect, useState } from "preact/hooks";
import { api } from "../api";
import type { Inspection } from "../api/types";
import { Empty, Failure, Field, Loaded, VerdictBadge, score, time, useLoad } from "../parts/basics";
import { go, href, query, setQuery } from "../router";
import { classes } from "../state";
import { T, VERDICTS } from "../texts";

export const FILTERS = ["line", "verdict", "class", "lot", "bundle", "from", "to"] as const;

export function PartsPage() {
  const filters = Object.fromEntries(FILTERS.map((key) => [key, query.value[key] ?? ""]));
  const key = JSON.stringify(filters);
  const [items, setItems] = useState<Inspection[]>([]);
  const [next, setNext] = useState<string | null>(null);
  const [error, setError] = useState<Error | null>(null);
  const first = useLoad(() => api.inspections(asked(filters)), [key]);
  useEffect(() => {
    setItems(first.data?.items ?? []);
    setNext(first.data?.next ?? null);
  }, [first.data]);
  const more = async () => {
    setError(null);
    try {
      const page = await api.inspections({ ...asked(filters), cursor: next });
      setItems([...items, ...page.items]);
      setNext(page.next ?? null);
    } catch (failed) {
      setError(failed as Error);
    }
  };
  const filtered = Object.values(filters).some(Boolean);
  return (
    <>
      <h1>{T.parts.title}</h1>
      <Filters filters={filters} />
      <Loaded load={first}>
        {() =>
          items.length === 0 ? (
            <Empty title={filtered ? T.parts.empty : T.parts.emptyAll}>
              {filtered && <button onClick={clear}>{T.parts.reset}</button>}
            </Empty>
          ) : (
            <>
              <PartTable items={items} filters={filters} />
              {error && <Failure error={error} retry={more} />}
              {next ? <button onClick={more}>{T.more}</button> : <p class="faint">{T.parts.end}</p>}
            </>
          )
        }
      </Loaded>
    </>
  );
}

const clear = () => setQuery(Object.fromEntries(FILTERS.map((each) => [each, ""])));

/** Filters as the API has them: days of this computer's time zone, the last one included. */
export function asked(filters: Record<string, string>) {
  const day = (date: string | undefined, later: number) => {
    if (!date) return "";
    const start = new Date(`${date}T00:00:00`);
    start.setDate(start.getDate() + later);
    return start.toISOString();
  };
  return { ...filters, from: day(filters.from, 0), to: day(filters.to, 1) };
}

function Filters({ filters }: { filters: Record<string, string> }) {
  const lines = useLoad(api.lines, []);
  const bundles = useLoad(api.bundles, []);
  const choice = (name: string, label: string, options: readonly (readonly [string, string])[]) => (
    <Field label={label}>
      <select value={filters[name]} onChange={(event) => setQuery({ [name]: event.currentTarget.value })}>
        <option value="">{T.parts.all}</option>
        {options.map(([value, text]) => <option key={value} value={value}>{text}</option>)}
      </select>
    </Field>
  );
  const date = (name: string, label: string) => (
    <Field label={label}>
      <input key={filters[name]} type="date" defaultValue={filters[name]} onChange={(event) => setQuery({ [name]: event.currentTarget.value })} />
    </Field>
  );
  return (
    <section class="filters" aria-label={T.parts.filters}>
      {choice("line", T.parts.line, lines.data?.items.map((line) => [String(line.id), line.name] as const) ?? [])}
      {choice("verdict", T.parts.verdict, Object.values(VERDICTS).map(({ word, sign }) => [word, `${sign} ${word}`] as const))}
      {choice("class", T.parts.class, classes.value.map(({ name }) => [name, name] as const))}
      <Field label={T.parts.lot}>
        {/* Its text is its own while somebody types: a redraw must not take it away. */}
        <input key={filters.lot} type="search" defaultValue={filters.lot} maxLength={200} onChange={(event) => setQuery({ lot: event.currentTarget.value })} />
      </Field>
      {choice("bundle", T.parts.bundle, bundles.data?.items.map(({ id }) => [id, id] as const) ?? [])}
      {date("from", T.parts.from)}
      {date("to", T.parts.to)}
      <button onClick={clear}>{T.parts.reset}</button>
    </section>
  );
}

/** Table whose rows are reached by the arrow keys. */
function PartTable({ items, filters }: { items: Inspection[]; filters: Record<string, string> }) {
  const C = T.parts.columns;
  const onKey = (event: KeyboardEvent) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!step) return;
    const links = [...(event.currentTarget as HTMLElement).querySelectorAll<HTMLElement>("tbody a")];
    links[links.indexOf(document.activeElement as HTMLElement) + step]?.focus();
    event.preventDefault();
  };
  return (
    <div class="scroll">
      <table onKeyDown={onKey}>
        <thead>
          <tr>
            <th>{C.verdict}</th><th>{C.part}</th><th>{C.lot}</th><th>{C.at}</th>
            <th class="number">{C.score}</th><th class="number">{C.defects}</th><th>{C.review}</th>
          </tr>
        </thead>
        <tbody>
          {items.map((item) => (
            <tr key={item.id} onClick={() => go(`/parts/${item.id}`, filters)}>
              <td>{item.verdict && <VerdictBadge verdict={item.verdict} />}</td>
              <td class="name"><a href={href(`/parts/${item.id}`, filters)} title={item.serial}>{item.serial}</a></td>
              <td class="name" title={item.lot}>{item.lot || T.none}</td>
              <td>{time(item.at)}</td>
              <td class="number">{score(item.score)}</td>
              <td class="number">{item.num_defects}</td>
              <td class="name">
                {item.review ? <><VerdictBadge verdict={item.review.verdict} /> {item.review.by}</> : T.none}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
