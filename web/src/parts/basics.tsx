/** Small parts that every page is made of: verdicts, states of loading, dialogs, fields. */
import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { ApiError } from "../api/client";
import type { Verdict } from "../api/types";
import { T, VERDICTS } from "../texts";

/** A verdict by sign, word and colour, so that none of them carries it alone. */
export function VerdictBadge({ verdict, big = false }: { verdict: Verdict; big?: boolean }) {
  const { sign, word, long } = VERDICTS[verdict];
  return (
    <span class={`verdict ${verdict} ${big ? "big" : ""}`} title={long}>
      <span aria-hidden="true">{sign}</span> {word}
    </span>
  );
}

export type Load<T> = { data: T | null; error: Error | null; reload: () => Promise<void> };

/** Loads something, again when a dependency changes; what is shown stays until the next is there. */
export function useLoad<T>(load: () => Promise<T>, dependencies: readonly unknown[], every = 0): Load<T> {
  const [state, setState] = useState<{ data: T | null; error: Error | null }>({ data: null, error: null });
  const turn = useRef(0);
  const run = async () => {
    const mine = ++turn.current;
    try {
      const data = await load();
      if (mine === turn.current) setState({ data, error: null });
    } catch (error) {
      if (mine === turn.current) setState((before) => ({ data: before.data, error: error as Error }));
    }
  };
  useEffect(() => {
    void run();
    const timer = every > 0 ? setInterval(run, every) : 0;
    return () => {
      turn.current++;
      clearInterval(timer);
    };
  }, dependencies);
  return { ...state, reload: run };
}

/** Line that says what went wrong; a request that did not get through is a TypeError of fetch. */
export const messageOf = (error: unknown) => (error instanceof TypeError || !(error instanceof Error) ? T.offline : error.message);

export function Failure({ error, retry }: { error: Error; retry?: () => void }) {
  return (
    <div class="notice bad" role="alert">
      <p>{messageOf(error)}</p>
      {error instanceof ApiError && error.id && <p class="faint">{T.errorId(error.id)}</p>}
      {retry && <button onClick={retry}>{T.retry}</button>}
    </div>
  );
}

export function Empty({ title, children }: { title: string; children?: ComponentChildren }) {
  return (
    <div class="notice">
      <p class="title">{title}</p>
      {children && <p>{children}</p>}
    </div>
  );
}

/** Whatever a load gives: its content, else a failure or a quiet sign that it comes. */
export function Loaded<T>({ load, children }: { load: Load<T>; children: (data: T) => ComponentChildren }) {
  if (load.data !== null) {
    return (
      <>
        {load.error && <Failure error={load.error} retry={load.reload} />}
        {children(load.data)}
      </>
    );
  }
  if (load.error) return <Failure error={load.error} retry={load.reload} />;
  return (
    <div class="loading" role="status">
      {T.loading}
    </div>
  );
}

/** A dialog over the page; Escape closes it. */
export function Dialog(props: { title: string; onClose: () => void; wide?: boolean; children: ComponentChildren }) {
  const element = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    element.current!.showModal();
  }, []);
  return (
    <dialog ref={element} class={props.wide ? "wide" : ""} aria-label={props.title} onClose={props.onClose}>
      <header>
        <h2>{props.title}</h2>
        <button class="quiet" aria-label={T.close} title={T.close} onClick={() => element.current!.close()}>
          ✕
        </button>
      </header>
      {props.children}
    </dialog>
  );
}

export function Field(props: { label: string; help?: string; children: ComponentChildren }) {
  return (
    <label class="field">
      <span>{props.label}</span>
      {props.children}
      {props.help && <small>{props.help}</small>}
    </label>
  );
}

/** A list to choose from. options: values with their texts; value: that is chosen at first */
export function Select({ name, options, value }: { name: string; options: readonly (readonly [string, string])[]; value?: string | null | undefined }) {
  return (
    <select name={name}>
      {options.map(([each, text]) => <option key={each} value={each} selected={each === value}>{text}</option>)}
    </select>
  );
}

/** Options whose texts are their values. */
export const same = (values: readonly string[]) => values.map((each) => [each, each] as const);

/** A form that sends once at a time and shows what was refused above its buttons. */
export function Form(props: {
  submit: string;
  onSubmit: (values: Record<string, string>) => Promise<void>;
  onCancel?: () => void;
  children: ComponentChildren;
}) {
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<Error | null>(null);
  const send = async (event: Event) => {
    event.preventDefault();
    const values = Object.fromEntries([...new FormData(event.currentTarget as HTMLFormElement)].map(([key, value]) => [key, String(value)]));
    setBusy(true);
    setError(null);
    try {
      await props.onSubmit(values);
    } catch (failed) {
      setError(failed as Error);
    }
    setBusy(false);
  };
  return (
    <form onSubmit={send}>
      {props.children}
      {error && <Failure error={error} />}
      <div class="actions">
        <button class="primary" disabled={busy}>
          {props.submit}
        </button>
        {props.onCancel && (
          <button type="button" onClick={props.onCancel}>
            {T.cancel}
          </button>
        )}
      </div>
    </form>
  );
}

/** Day of a moment, in the words of the browser's language. */
export const day = (at: string) => new Date(at).toLocaleDateString(undefined, { dateStyle: "medium" } as Intl.DateTimeFormatOptions);

export const time = (at: string) =>
  new Date(at).toLocaleString(undefined, { dateStyle: "short", timeStyle: "medium" } as Intl.DateTimeFormatOptions);

export const score = (value: number | null) => (value === null ? T.none : value.toFixed(3));

/** Bytes in the unit that suits them. */
export function bytes(count: number): string {
  const units = ["B", "kB", "MB", "GB"];
  let unit = 0;
  for (; count >= 1000 && unit < 3; unit++) count /= 1000;
  return `${count < 10 && unit > 0 ? count.toFixed(1) : Math.round(count)} ${units[unit]}`;
}
