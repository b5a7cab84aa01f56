/** Lines and their settings, for administrators: where parts come from, how long an answer may take, what is kept. */
import { useState } from "preact/hooks";
import { api } from "../api";
import type { Line } from "../api/types";
import { Dialog, Empty, Loaded, messageOf, useLoad } from "../parts/basics";
import { LineForm, sourceText } from "../parts/line_form";
import { href } from "../router";
import { say } from "../state";
import { T } from "../texts";

export function LinesPage() {
  const load = useLoad(api.lines, [], 4000);
  const [edited, setEdited] = useState<Line | "new" | null>(null);
  const done = async () => {
    setEdited(null);
    await load.reload();
  };
  const change = (asked: Promise<unknown>) => asked.catch((error) => say(messageOf(error), true)).then(load.reload);
  return (
    <>
      <header class="pagehead">
        <h1>{T.lines.title}</h1>
        <span class="space" />
        <button class="primary" onClick={() => setEdited("new")}>+ {T.lines.add}</button>
      </header>
      <Loaded load={load}>
        {({ items }) =>
          items.length === 0 ? <Empty title={T.live.noLines}>{T.lines.emptyHelp}</Empty> : (
            <ul class="cards">{items.map((line) => <Card key={line.id} line={line} onEdit={() => setEdited(line)} onChange={change} />)}</ul>
          )
        }
      </Loaded>
      {edited && (
        <Dialog title={edited === "new" ? T.lines.add : edited.name} onClose={() => setEdited(null)}>
          <LineForm of={edited === "new" ? null : edited} onDone={done} />
        </Dialog>
      )}
    </>
  );
}

type CardProps = { line: Line; onEdit: () => void; onChange: (asked: Promise<unknown>) => Promise<void> };

function Card({ line, onEdit, onChange }: CardProps) {
  const L = T.lines;
  const rows: [string, string][] = [
    [L.source, sourceText(line.source)],
    [L.bundle, line.bundle_id ?? L.noBundle],
    [L.deadline, line.deadline_ms === null ? L.noDeadline : `${line.deadline_ms} ms`],
    [L.keeps, keepText(line)],
    [L.audit, L.percent(line.audit_share)],
    [L.reviewIs, line.review_is_ng ? "NG" : "OK"],
  ];
  const stop = () => confirm(L.stopAsk(line.name)) && onChange(api.stop(line.id));
  return (
    <li class="card">
      <h2><span class="name" title={line.name}>{line.name}</span> <span class={`state ${line.state}`}>{L.states[line.state]}</span></h2>
      {line.fault && <p class="notice small bad">{line.fault}</p>}
      <dl class="facts">{rows.map(([name, value]) => <div key={name}><dt>{name}</dt><dd title={value}>{value}</dd></div>)}</dl>
      <div class="actions">
        <button onClick={onEdit}>{L.edit}</button>
        {line.state !== "running" && line.bundle_id && <button onClick={() => onChange(api.start(line.id))}>▶ {L.start}</button>}
        {line.state !== "stopped" && <button onClick={stop}>■ {L.stop}</button>}
        {!line.bundle_id && <a class="button" href={href("/bundles")}>{T.bundles.title}</a>}
      </div>
    </li>
  );
}

/** Kept images in words: "REVIEW, NG, ERROR, 1 % of OK". */
function keepText({ keep }: Line): string {
  const kinds = (["review", "ng", "error"] as const).filter((kind) => keep[kind]).map((kind) => kind.toUpperCase());
  return [...kinds, ...(keep.ok_share > 0 ? [T.lines.ofOk(keep.ok_share)] : [])].join(", ") || T.lines.keepsNone;
}
