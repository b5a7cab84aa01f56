/** Data sets made of reviewed parts; frozen ones are what training and comparisons rest on. */
import { useState } from "preact/hooks";
import { api } from "../api";
import type { Dataset } from "../api/types";
import { Dialog, Empty, Field, Form, Loaded, time, useLoad } from "../parts/basics";
import { say } from "../state";
import { T } from "../texts";

export function DatasetsPage() {
  const load = useLoad(api.datasets, []);
  const [adding, setAdding] = useState(false);
  const [freezing, setFreezing] = useState<Dataset | null>(null);
  const done = async () => {
    setAdding(false);
    setFreezing(null);
    await load.reload();
  };
  return (
    <>
      <header class="pagehead">
        <h1>{T.datasets.title}</h1>
        <span class="space" />
        <button class="primary" onClick={() => setAdding(true)}>+ {T.datasets.add}</button>
      </header>
      <Loaded load={load}>
        {({ items }) =>
          items.length === 0 ? <Empty title={T.datasets.empty}>{T.datasets.emptyHelp}</Empty> : (
            <ul class="cards">{items.map((each) => <Card key={each.id} of={each} onFreeze={() => setFreezing(each)} />)}</ul>
          )
        }
      </Loaded>
      {adding && (
        <Dialog title={T.datasets.add} onClose={() => setAdding(false)}>
          <NewDataset onDone={done} />
        </Dialog>
      )}
      {freezing && (
        <Dialog title={`${T.datasets.freeze}: ${freezing.name}`} onClose={() => setFreezing(null)}>
          <Freeze of={freezing} onDone={done} />
        </Dialog>
      )}
    </>
  );
}

function Freeze({ of, onDone }: { of: Dataset; onDone: () => Promise<void> }) {
  const send = async ({ val = "", test = "" }: Record<string, string>) => {
    const { left_out } = await api.freeze(of.id, { val_share: Number(val) / 100, test_share: Number(test) / 100, seed: 0 });
    say(left_out > 0 ? T.datasets.leftOut(left_out) : T.datasets.done);
    await onDone();
  };
  return (
    <Form submit={T.datasets.freeze} onSubmit={send}>
      <p>{T.datasets.freezeAsk} {T.datasets.shares}</p>
      <Field label={T.datasets.valShare}><input name="val" type="number" min={1} max={60} defaultValue={20} required /></Field>
      <Field label={T.datasets.testShare}><input name="test" type="number" min={1} max={60} defaultValue={20} required /></Field>
    </Form>
  );
}

function Card({ of, onFreeze }: { of: Dataset; onFreeze: () => void }) {
  const { train = 0, val = 0, test = 0 } = of.num_images;
  return (
    <li class="card">
      <h2><span class="name" title={of.name}>{of.name}</span> <span class="faint">{of.frozen_at ? `❄ ${T.datasets.frozen}` : T.datasets.open}</span></h2>
      {of.frozen_at && <p>{T.datasets.counts(train, val, test)}</p>}
      <dl class="facts">
        <div><dt>{T.bundles.made}</dt><dd>{time(of.created_at)}{of.by && ` · ${of.by}`}</dd></div>
        {of.fingerprint && <div><dt>{T.datasets.fingerprint}</dt><dd title={of.fingerprint}>{of.fingerprint}</dd></div>}
      </dl>
      <div class="actions">
        {of.frozen_at ? <a class="button" href={api.coco(of.id)} download={`${of.name}.zip`}>{T.datasets.coco}</a> : <button onClick={onFreeze}>{T.datasets.freeze}</button>}
      </div>
    </li>
  );
}

function NewDataset({ onDone }: { onDone: () => Promise<void> }) {
  const send = async ({ name = "", lots = "" }: Record<string, string>) => {
    await api.addDataset(name, lots.split("\n").map((lot) => lot.trim()).filter(Boolean));
    await onDone();
  };
  return (
    <Form submit={T.save} onSubmit={send}>
      <p>{T.datasets.emptyHelp}</p>
      <Field label={T.datasets.name}><input name="name" required maxLength={80} autofocus /></Field>
      <Field label={T.datasets.lots}><textarea name="lots" rows={3} /></Field>
    </Form>
  );
}
