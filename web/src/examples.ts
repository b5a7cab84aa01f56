/** Boxes that were picked as examples of a class to add; they stay until the job is started. */
import { effect, signal } from "@preact/signals";

export type Example = { annotation: number; class_name: string; image: string };

/** Fewest boxes that a class is added from here, and the most that a job takes. */
export const FEWEST = 5;
export const MOST = 10;

const STORED = "blemish.examples";
export const examples = signal<readonly Example[]>(read());
effect(() => sessionStorage.setItem(STORED, JSON.stringify(examples.value)));

export const isExample = (annotation: number) => examples.value.some((each) => each.annotation === annotation);

/** Picks a box, or takes it back. */
export function toggleExample(example: Example): void {
  const others = examples.value.filter((each) => each.annotation !== example.annotation);
  examples.value = others.length < examples.value.length ? others : [...others, example];
}

function read(): Example[] {
  try {
    return JSON.parse(sessionStorage.getItem(STORED) ?? "[]") as Example[];
  } catch {
    return [];
  }
}
