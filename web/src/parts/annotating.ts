/** The annotations of an image: loading, saving by version, and the conflict of two people. */
import { useSignal, type Signal } from "@preact/signals";
import { useEffect, useMemo } from "preact/hooks";
import { api } from "../api";
import { annotationOf, itemOf } from "../api/annotations";
import { ApiError } from "../api/client";
import type { AnnotationSet, ImageInFull } from "../api/types";
import { loadClasses } from "../catalogue";
import { activeClasses, classes, me, say } from "../state";
import { T } from "../texts";
import { AnnotationDocument } from "../viewer/document";
import { Drawing } from "../viewer/tools";
import { messageOf } from "./basics";

/** The version that somebody stored meanwhile. */
export type Conflict = AnnotationSet & { by: string };

export type Annotating = {
  drawing: Drawing;
  /** What somebody else stored while this was drawn; null without a conflict. */
  conflict: Signal<Conflict | null>;
  saving: Signal<boolean>;
  /** Saves; false where it was refused. over: another version takes the place of the one it was drawn on */
  save: (over?: number) => Promise<boolean>;
  discard: () => Promise<void>;
  settle: (choice: "theirs" | "mine" | "both") => Promise<void>;
};

/** Annotations of an image that can be drawn on; null until they are loaded, or for who may not. */
export function useAnnotating(image: ImageInFull | null, allowed: boolean, reload: () => void): Annotating | null {
  const conflict = useSignal<Conflict | null>(null);
  const saving = useSignal(false);
  const ready = useSignal(false);
  const size = { width: image?.width ?? 0, height: image?.height ?? 0 };
  const drawing = useMemo(
    () => (image ? new Drawing(new AnnotationDocument(image.sha256, size, me.value?.name ?? "")) : null),
    [image?.sha256],
  );
  const page = drawing?.document;

  const load = async () => {
    if (!image || !page) return;
    if (classes.value.length === 0) await loadClasses();
    const stored = await api.annotations(image.sha256);
    page.load(stored.version, stored.items.map((each) => itemOf(each, size)));
    if (page.restored.value) say(T.draw.draftBack);
    if (page.unfinished.value.length > 0) drawing.choose("polygon");
    ready.value = true;
  };
  useEffect(() => {
    ready.value = false;
    conflict.value = null;
    load().catch((error) => say(messageOf(error), true));
    const flush = () => page?.flush();
    addEventListener("pagehide", flush);
    return () => {
      flush();
      removeEventListener("pagehide", flush);
    };
  }, [image?.sha256]);
  useEffect(() => {
    const first = activeClasses.value[0];
    if (page && !page.class_name.value && first) page.class_name.value = first.name;
  }, [page, activeClasses.value]);

  if (!image || !drawing || !page || !allowed || !ready.value) return null;

  const save = async (over?: number): Promise<boolean> => {
    if (saving.value) return false;
    saving.value = true;
    try {
      const sent = page.items.value.map(annotationOf).filter((each) => each !== null);
      const stored = await api.annotate(image.sha256, over ?? page.version, sent);
      page.saved(stored.version, stored.items.map((each) => itemOf(each, size)));
      conflict.value = null;
      say(T.draw.saved(stored.version));
      reload();
      return true;
    } catch (error) {
      const current = error instanceof ApiError && error.status === 409 ? (error.body.current as AnnotationSet | undefined) : undefined;
      if (current) conflict.value = { ...current, by: await authorOf(image.sha256, current.version) };
      else say(messageOf(error), true);
      return false;
    } finally {
      saving.value = false;
    }
  };

  const settle = async (choice: "theirs" | "mine" | "both") => {
    const theirs = conflict.value!;
    const items = theirs.items.map((each) => itemOf(each, size));
    conflict.value = null;
    if (choice === "mine") {
      // Rows of theirs that are not here are removed by the version that is saved now; it stays in the history.
      const known = new Set(items.map((item) => item.id));
      page.items.value = page.items.value.map((item) => (known.has(item.id) ? item : { ...item, id: null }));
      await save(theirs.version);
    } else if (choice === "theirs") {
      page.discardDraft();
      page.load(theirs.version, items);
      reload();
    } else {
      // Rows that both drew on are theirs; what is new here comes beside them.
      page.version = theirs.version;
      const known = new Set(items.map((item) => item.id));
      const mine = page.items.value.filter((item) => item.id === null || !known.has(item.id));
      page.change([...items, ...mine.map((item) => ({ ...item, id: null }))]);
    }
  };

  const discard = async () => {
    page.discardDraft();
    await load();
  };
  return { drawing, conflict, saving, save, discard, settle };
}

/** Who stored a version of an image's annotations. */
async function authorOf(image: string, version: number): Promise<string> {
  const { items } = await api.versions(image);
  return items.find((each) => each.version === version)?.by ?? "";
}
