/** The class catalogue: what each defect is, from which size it counts, and how it looks. */
import { useState } from "preact/hooks";
import { api } from "../api";
import type { ClassLimit, DefectClass } from "../api/types";
import { loadClasses } from "../catalogue";
import { Dialog, Empty, Field, Form, Loaded, Select, messageOf, same, useLoad } from "../parts/basics";
import { may, say } from "../state";
import { T } from "../texts";

export function ClassesPage() {
  const load = useLoad(api.classes, []);
  const [edited, setEdited] = useState<DefectClass | "new" | null>(null);
  const done = async () => {
    setEdited(null);
    await load.reload();
    await loadClasses();
  };
  return (
    <>
      <header class="pagehead">
        <h1>{T.classes.title}</h1>
        <span class="space" />
        {may("engineer") && <button class="primary" onClick={() => setEdited("new")}>+ {T.classes.add}</button>}
      </header>
      <Loaded load={load}>
        {({ items }) =>
          items.length === 0 ? <Empty title={T.classes.empty}>{T.classes.emptyHelp}</Empty> : (
            <ul class="cards">
              {items.map((each) => <Card key={each.id} of={each} onEdit={() => setEdited(each)} onDone={done} />)}
            </ul>
          )
        }
      </Loaded>
      {edited && (
        <Dialog title={edited === "new" ? T.classes.add : edited.name} onClose={() => setEdited(null)}>
          <ClassForm of={edited === "new" ? null : edited} onDone={done} />
        </Dialog>
      )}
    </>
  );
}

function Card({ of, onEdit, onDone }: { of: DefectClass; onEdit: () => void; onDone: () => Promise<void> }) {
  const retire = () =>
    api.changeClass(of.id, { retired: !of.retired_at }).then(onDone, (error) => say(messageOf(error), true));
  return (
    <li class={`card ${of.retired_at ? "retired" : ""}`}>
      <h2><span class="dot" style={{ background: of.colour }} /> <span class="name" title={of.name}>{of.name}</span>
        {of.retired_at && <span class="faint">({T.classes.retired})</span>}</h2>
      <div class="two">
        <Example sha={of.example_id} caption={T.classes.example} />
        <Example sha={of.counter_example_id} caption={T.classes.counter} />
      </div>
      <p class="definition">{of.definition || T.none}</p>
      <p><b>{T.classes.limit}:</b> {of.limit ? limitText(of.limit) : T.classes.noLimit}</p>
      {may("engineer") && (
        <div class="actions">
          <button onClick={onEdit}>{T.classes.edit}</button>
          <button onClick={retire}>{of.retired_at ? T.classes.revive : T.classes.retire}</button>
        </div>
      )}
    </li>
  );
}

function Example({ sha, caption }: { sha: string | null; caption: string }) {
  return (
    <figure>
      {sha ? <img src={api.crop(sha, { largest: 320 })} alt={caption} loading="lazy" /> : <div class="blank">{T.classes.noPicture}</div>}
      <figcaption>{caption}</figcaption>
    </figure>
  );
}

const MEASURES = ["length", "width", "area", "severity", "count"];
const number = (text: string | undefined) => (text ? Number(text) : null);

/** Limit in words: "length: REVIEW from 1 mm, NG from 2 mm". */
function limitText({ measure, unit, review, ng }: ClassLimit): string {
  const square = measure === "area" && unit ? `${unit}²` : unit;
  const from = (word: string, value: number | null) => (value === null ? [] : [T.classes.from(word, `${value} ${square}`.trim())]);
  return `${measure}: ${[...from("REVIEW", review), ...from("NG", ng)].join(", ")}`;
}

function ClassForm({ of, onDone }: { of: DefectClass | null; onDone: () => Promise<void> }) {
  const send = async (values: Record<string, string>) => {
    const body = {
      name: values.name!,
      colour: values.colour!,
      definition: values.definition ?? "",
      limit: values.ng || values.review ? { measure: values.measure!, unit: values.unit!, review: number(values.review), ng: number(values.ng) } : null,
      example_id: values.example || null,
      counter_example_id: values.counter || null,
    };
    await (of ? api.changeClass(of.id, body) : api.addClass(body));
    await onDone();
  };
  return (
    <Form submit={T.save} onSubmit={send}>
      <Field label={T.classes.name}><input name="name" required maxLength={80} defaultValue={of?.name} autofocus /></Field>
      <Field label={T.classes.colour}><input name="colour" type="color" defaultValue={of?.colour ?? "#ffb454"} /></Field>
      <Field label={T.classes.definition} help={T.classes.definitionHelp}><textarea name="definition" rows={4} maxLength={4000} defaultValue={of?.definition} /></Field>
      <div class="inline">
        <Field label={T.classes.measure}>
          <Select name="measure" options={same(MEASURES)} value={of?.limit?.measure} />
        </Field>
        <Field label={T.classes.review}><input name="review" type="number" min={0} step="any" defaultValue={of?.limit?.review ?? ""} /></Field>
        <Field label={T.classes.ng}><input name="ng" type="number" min={0} step="any" defaultValue={of?.limit?.ng ?? ""} /></Field>
        <Field label={T.classes.unit}>
          <Select name="unit" options={[...same(["mm", "px"]), ["", T.none]]} value={of?.limit?.unit} />
        </Field>
      </div>
      <Field label={T.classes.example} help={T.classes.imageHelp}><input name="example" pattern="[0-9a-f]{64}" maxLength={64} defaultValue={of?.example_id ?? ""} /></Field>
      <Field label={T.classes.counter}><input name="counter" pattern="[0-9a-f]{64}" maxLength={64} defaultValue={of?.counter_example_id ?? ""} /></Field>
    </Form>
  );
}
