/** Reviewing by keys: the queue lends a part, a key answers, the next one comes. */
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { api } from "../api";
import { ApiError } from "../api/client";
import type { Defect, Inspection, QueueItem } from "../api/types";
import type { Annotating } from "../parts/annotating";
import { Empty, Failure, VerdictBadge, messageOf, score } from "../parts/basics";
import { Workbench } from "../parts/workbench";
import { typing } from "../shell";
import { say } from "../state";
import { T } from "../texts";

/** The part on the screen. supersedes: the review that a new verdict takes the place of, where one is taken back */
type Current = QueueItem & { defects: readonly Defect[]; supersedes: number | null };
type Done = { inspection: Inspection; blind: boolean; review: number };

const LOOK_AGAIN = 4000; // ms

export function ReviewPage() {
  const [current, setCurrent] = useState<Current | null | undefined>(undefined);
  const [error, setError] = useState<Error | null>(null);
  const [done, setDone] = useState<readonly Done[]>([]);
  const [comment, setComment] = useState("");
  const [busy, setBusy] = useState(false);
  const annotating = useRef<Annotating | null>(null);
  const since = useRef(0);

  const show = async (item: QueueItem, supersedes: number | null) => {
    const defects = item.blind ? [] : (await api.inspection(item.inspection.id)).doc.defects;
    setCurrent({ ...item, defects, supersedes });
    setComment("");
    since.current = performance.now();
  };
  const next = async (skip?: number) => {
    setError(null);
    try {
      const { item } = await api.next(skip);
      if (item) await show(item, null);
      else setCurrent(null);
    } catch (failed) {
      setError(failed as Error);
    }
  };
  const busily = async (action: () => Promise<void>) => {
    if (busy) return;
    setBusy(true);
    try {
      await action();
    } catch (failed) {
      say(messageOf(failed), true);
    }
    setBusy(false);
  };

  const give = (verdict: "OK" | "NG") =>
    busily(async () => {
      if (!current) return;
      const drawn = annotating.current;
      if (drawn?.drawing.document.dirty.value && !(await drawn.save())) return;
      const { inspection, blind, supersedes } = current;
      const seconds = Math.min((performance.now() - since.current) / 1000, 86400);
      try {
        const review = await api.review(inspection.id, { verdict, blind, supersedes, seconds, comment: comment || null });
        setDone((before) => [...before, { inspection, blind, review: review.id }]);
        say(T.review.done(inspection.serial, verdict));
      } catch (failed) {
        if (!(failed instanceof ApiError && failed.status === 409)) throw failed;
        say(failed.message, true); // somebody else was first; theirs holds
      }
      await next();
    });
  const skip = () => busily(async () => { if (current) await next(current.inspection.id); });
  const takeBack = () =>
    busily(async () => {
      const last = done.at(-1);
      if (!last) return;
      setDone(done.slice(0, -1));
      await show({ inspection: last.inspection, blind: last.blind, until: "", waiting: current?.waiting ?? 0 }, last.review);
      say(T.review.undone(last.inspection.serial));
    });

  useEffect(() => void next(), []);
  useEffect(() => {
    if (current !== null) return;
    const timer = setInterval(() => void next(), LOOK_AGAIN);
    return () => clearInterval(timer);
  }, [current === null]);
  // Before the next key, not after the next repaint: it would see the comment without its last letter.
  useLayoutEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      if (typing(event) || event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
      const key = event.key.toLowerCase();
      const drawing = annotating.current?.drawing;
      if (key === "o") void give("OK");
      else if (key === "n") void give("NG");
      else if (key === "u") void takeBack();
      else if (event.key === "ArrowRight" && !event.shiftKey && (!drawing || drawing.tool.value === "pan")) void skip();
      else return;
      event.preventDefault();
    };
    addEventListener("keydown", onKey);
    return () => removeEventListener("keydown", onKey);
  });

  if (error) return <Failure error={error} retry={() => void next()} />;
  if (current === undefined) return <div class="loading" role="status">{T.loading}</div>;
  if (current === null) {
    return (
      <>
        <h1>{T.review.title}</h1>
        <Empty title={T.review.empty}>{T.review.emptyHelp}</Empty>
        {done.length > 0 && <button onClick={takeBack}>{T.review.undo} (U)</button>}
      </>
    );
  }
  const { inspection, blind, until, waiting, defects } = current;
  return (
    <>
      <header class="pagehead">
        <h1 class="name" title={inspection.serial}>{inspection.serial}</h1>
        <span class="faint name">{inspection.lot && `${T.live.lot} ${inspection.lot}`}</span>
        <span class="space" />
        <span>{T.review.left(waiting)}</span>
        <span class="faint">{T.review.session(done.length)}</span>
        {until && <span class="faint">{T.review.leased(new Date(until).toLocaleTimeString())}</span>}
      </header>
      <Workbench
        key={inspection.id}
        image={inspection.image}
        defects={defects}
        head={(drawn) => {
          annotating.current = drawn;
          return (
            <div class="decide">
              {blind ? <p class="notice small">{T.review.blind}</p> : (
                <p>{inspection.verdict && <VerdictBadge verdict={inspection.verdict} big />} <span class="numbers">{score(inspection.score)}</span></p>
              )}
              <div class="actions">
                <button class="OK" disabled={busy} onClick={() => give("OK")}>✓ {T.review.ok} <kbd>O</kbd></button>
                <button class="NG" disabled={busy} onClick={() => give("NG")}>✕ {T.review.ng} <kbd>N</kbd></button>
                <button disabled={busy} onClick={skip}>{T.review.next} <kbd>→</kbd></button>
                <button disabled={busy || done.length === 0} onClick={takeBack}>{T.review.undo} <kbd>U</kbd></button>
              </div>
              <input
                aria-label={T.review.comment} placeholder={T.review.comment} value={comment} maxLength={4000}
                onInput={(event) => setComment(event.currentTarget.value)}
                onKeyDown={(event) => { if (event.key === "Enter" || event.key === "Escape") event.currentTarget.blur(); }}
              />
              {drawn?.drawing.document.dirty.value && <p class="faint">{T.review.unsavedFirst}</p>}
            </div>
          );
        }}
      />
    </>
  );
}
