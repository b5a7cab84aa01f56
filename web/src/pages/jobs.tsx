/** Jobs: a form for each kind, progress, log, cancel. */
import { useEffect, useRef, useState } from "preact/hooks";
import { api } from "../api";
import type { Job, JobBody, JobKind } from "../api/types";
import { Dialog, Empty, Field, Form, Loaded, Select, messageOf, same, time, useLoad } from "../parts/basics";
import { go, href, query, setQuery } from "../router";
import { FEWEST, MOST, examples, toggleExample } from "../examples";
import { classes, say } from "../state";
import { JOB_KINDS, JOB_STATES, T } from "../texts";

/** Kinds that are started from here; others are started by what they serve. */
const STARTED = ["train", "add_class", "export", "evaluate"] as const satisfies readonly JobKind[];
const METHODS = ["auto", "tlsdd", "severity", "medetection", "casae"];
const PRESETS = ["default", "quick", "thorough", "paper"];
const FORMATS = ["onnx", "openvino"];
const PRECISIONS = ["fp32", "fp16", "int8"];

export function JobsPage() {
  const load = useLoad(() => api.jobs(), [], 2000);
  const wanted = query.value.new as (typeof STARTED)[number] | undefined;
  return (
    <>
      <header class="pagehead">
        <h1>{T.jobs.title}</h1>
        <span class="space" />
        {STARTED.map((kind) => <button key={kind} onClick={() => setQuery({ new: kind })}>+ {JOB_KINDS[kind].name}</button>)}
      </header>
      <Loaded load={load}>
        {({ items }) =>
          items.length === 0 ? <Empty title={T.jobs.empty}>{T.jobs.emptyHelp}</Empty> : (
            <ul class="jobs">
              {items.map((job) => (
                <li key={job.id} class="card">
                  <a class="row" href={href(`/jobs/${job.id}`)}>
                    <StateBadge job={job} />
                    <b>#{job.id} {JOB_KINDS[job.kind]?.name ?? job.kind}</b>
                    <span class="name faint">{job.message}</span>
                    <span class="space" />
                    <span class="faint meta">{job.by} · {time(job.created_at)}</span>
                  </a>
                  {job.state === "running" && <Progress job={job} />}
                </li>
              ))}
            </ul>
          )
        }
      </Loaded>
      {wanted && STARTED.includes(wanted) && (
        <Dialog title={JOB_KINDS[wanted].name} onClose={() => setQuery({ new: "" })}>
          <NewJob kind={wanted} />
        </Dialog>
      )}
    </>
  );
}

function StateBadge({ job }: { job: Job }) {
  const { sign, word } = JOB_STATES[job.state];
  return <span class={`state ${job.state}`}><span aria-hidden="true">{sign}</span> {word}</span>;
}

function Progress({ job }: { job: Job }) {
  const known = job.total !== null && job.progress !== null && job.total > 0;
  return (
    <div class="progress">
      <progress aria-label={JOB_KINDS[job.kind].name} {...(known ? { value: job.progress!, max: job.total! } : {})} />
      <span class="faint numbers">{known && T.jobs.progress(job.progress!, job.total!)}</span>
    </div>
  );
}

export function JobPage({ id }: { id: number }) {
  const load = useLoad(() => api.job(id), [id], 1500);
  const cancel = () => api.cancelJob(id).then(load.reload, (error) => say(messageOf(error), true));
  return (
    <Loaded load={load}>
      {(job) => {
        const over = job.state !== "queued" && job.state !== "running";
        return (
          <>
            <header class="pagehead">
              <a class="button" href={href("/jobs")}>‹ {T.jobs.back}</a>
              <h1>#{job.id} {JOB_KINDS[job.kind]?.name ?? job.kind}</h1>
              <StateBadge job={job} />
              <span class="space" />
              {job.has_report && <a class="button" href={api.report(id)} target="_blank" rel="noreferrer">{T.jobs.report}</a>}
              {!over && <button onClick={cancel}>{T.jobs.cancelJob}</button>}
            </header>
            {!over && <Progress job={job} />}
            {job.message && <p class={`notice small ${job.state === "failed" ? "bad" : ""}`}>{job.message}</p>}
            <div class="split">
              <section>
                <h3>{T.jobs.log}</h3>
                <Log id={id} over={over} />
              </section>
              <aside>
                <Values title={T.jobs.settings} of={job.args} />
                {job.result && <Values title={T.jobs.result} of={job.result} />}
                <dl class="facts">
                  {job.by && <div><dt>{T.jobs.by}</dt><dd>{job.by}</dd></div>}
                  {job.started_at && <div><dt>{T.jobs.started}</dt><dd>{time(job.started_at)}</dd></div>}
                  {job.ended_at && <div><dt>{T.jobs.ended}</dt><dd>{time(job.ended_at)}</dd></div>}
                  {job.attempt > 1 && <div><dt>{T.jobs.state}</dt><dd>{T.jobs.attempt(job.attempt)}</dd></div>}
                </dl>
              </aside>
            </div>
          </>
        );
      }}
    </Loaded>
  );
}

function Values({ title, of }: { title: string; of: Record<string, unknown> }) {
  const shown = Object.entries(of).filter(([, value]) => value !== null && value !== "");
  if (shown.length === 0) return null;
  return (
    <>
      <h3>{title}</h3>
      <dl class="facts">
        {shown.map(([name, value]) => {
          const text = typeof value === "object" ? JSON.stringify(value) : String(value);
          return <div key={name}><dt>{name.replaceAll("_", " ")}</dt><dd title={text}>{text}</dd></div>;
        })}
      </dl>
    </>
  );
}

/** The log, which follows its end unless it was scrolled up. */
function Log({ id, over }: { id: number; over: boolean }) {
  const load = useLoad(() => api.jobLog(id), [id, over], over ? 0 : 1500);
  const place = useRef<HTMLPreElement>(null);
  const follows = useRef(true);
  useEffect(() => {
    if (place.current && follows.current) place.current.scrollTop = place.current.scrollHeight;
  }, [load.data]);
  const note = (event: Event) => {
    const { scrollTop, scrollHeight, clientHeight } = event.currentTarget as HTMLElement;
    follows.current = scrollTop + clientHeight > scrollHeight - 20;
  };
  return <pre ref={place} class="log" tabIndex={0} onScroll={note}>{load.data || T.jobs.noLog}</pre>;
}

function NewJob({ kind }: { kind: (typeof STARTED)[number] }) {
  const datasets = useLoad(api.datasets, []);
  const bundles = useLoad(api.bundles, []);
  if (!datasets.data) return <Loaded load={datasets}>{() => null}</Loaded>;
  if (!bundles.data) return <Loaded load={bundles}>{() => null}</Loaded>;
  const frozen = datasets.data.items.filter((each) => each.frozen_at).map(({ id, name }) => [String(id), name] as const);
  if ((kind === "train" || kind === "evaluate") && frozen.length === 0) {
    return <Empty title={T.jobs.needsFrozen}><a class="button" href={href("/datasets")}>{T.datasets.title}</a></Empty>;
  }
  if (kind !== "train" && bundles.data.items.length === 0) return <Empty title={T.bundles.empty}>{T.bundles.emptyHelp}</Empty>;
  const bundle = choice("bundle", T.jobs.bundle, same(bundles.data.items.map(({ id }) => id)));
  const send = async (values: Record<string, string>) => {
    const job = await api.addJob(argumentsOf(kind, values));
    if (kind === "add_class") examples.value = examples.value.filter((each) => each.class_name !== values.class);
    go(`/jobs/${job.id}`);
  };
  return (
    <Form submit={T.jobs.start} onSubmit={send}>
      <p>{JOB_KINDS[kind].help}</p>
      {kind === "train" && (
        <>
          {choice("dataset", T.jobs.dataset, frozen)}
          {choice("method", T.jobs.method, same(METHODS))}
          {choice("preset", T.jobs.preset, same(PRESETS))}
          <Field label={T.jobs.budget}><input name="budget" pattern="[0-9]+[smh]" maxLength={8} /></Field>
          <Field label={T.jobs.extra}><textarea name="settings" rows={3} /></Field>
        </>
      )}
      {kind === "add_class" && <>{bundle}<Picked />{choice("dataset", T.jobs.check, [["", T.none], ...frozen])}</>}
      {kind === "export" && (
        <>
          {bundle}
          {choice("to", T.jobs.format, same(FORMATS))}
          {choice("precision", T.jobs.precision, same(PRECISIONS))}
          {choice("dataset", T.jobs.dataset, [["", T.none], ...frozen])}
        </>
      )}
      {kind === "evaluate" && <>{bundle}{choice("dataset", T.jobs.dataset, frozen)}{choice("split", T.jobs.split, same(["test", "val"]))}</>}
    </Form>
  );
}

function choice(name: string, label: string, options: readonly (readonly [string, string])[]) {
  return (
    <Field label={label}>
      <Select name={name} options={options} />
    </Field>
  );
}

/** The class to add, with the boxes that were picked for it. */
function Picked() {
  const names = [...new Set(examples.value.map((each) => each.class_name))];
  const [name, setName] = useState(names[0] ?? "");
  const chosen = examples.value.filter((each) => each.class_name === name);
  return (
    <>
      <Field label={T.jobs.className} help={T.jobs.boxesHelp}>
        <select name="class" value={name} onChange={(event) => setName(event.currentTarget.value)}>
          {names.map((each) => <option key={each} value={each}>{each}</option>)}
        </select>
      </Field>
      <p class={chosen.length < FEWEST ? "unsaved" : ""}>{T.jobs.picked(chosen.length, FEWEST)}</p>
      <ul class="picked">
        {chosen.map((each) => (
          <li key={each.annotation}>
            <img src={api.crop(each.image, { largest: 160 })} alt="" />
            <button type="button" class="quiet" aria-label={T.draw.remove} onClick={() => toggleExample(each)}>✕</button>
          </li>
        ))}
      </ul>
    </>
  );
}

/** Arguments of a job from its form. Raises Error for what the form cannot check by itself. */
function argumentsOf(kind: (typeof STARTED)[number], values: Record<string, string>): JobBody {
  const dataset_id = values.dataset ? Number(values.dataset) : null;
  switch (kind) {
    case "train":
      return { kind, dataset_id, method: values.method, preset: values.preset, time_budget: values.budget || null, settings: settingsOf(values.settings ?? "") };
    case "add_class": {
      const annotation_ids = examples.value.filter((each) => each.class_name === values.class).slice(0, MOST).map((each) => each.annotation);
      if (annotation_ids.length < FEWEST) throw new Error(T.jobs.picked(annotation_ids.length, FEWEST));
      const class_id = classes.value.find((each) => each.name === values.class)?.id;
      return { kind, bundle_id: values.bundle, class_id, annotation_ids, check_dataset_id: dataset_id };
    }
    case "export":
      return { kind, bundle_id: values.bundle, to: values.to, precision: values.precision, dataset_id };
    case "evaluate":
      return { kind, bundle_id: values.bundle, dataset_id, split: values.split };
  }
}

/** Settings of lines NAME=VALUE; numbers and true or false are such. Raises Error for another line. */
export function settingsOf(text: string): Record<string, string | number | boolean> {
  const lines = text.split("\n").map((line) => line.trim()).filter(Boolean);
  return Object.fromEntries(
    lines.map((line) => {
      const [, name, value] = /^([a-z][a-z0-9_]*)\s*=\s*(\S+)$/.exec(line) ?? [];
      if (!name || !value) throw new Error(T.jobs.badSetting(line));
      return [name, value === "true" || value === "false" ? value === "true" : Number.isNaN(Number(value)) ? value : Number(value)];
    }),
  );
}
