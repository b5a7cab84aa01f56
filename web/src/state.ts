/** What the whole page shares: who is logged in, the theme, messages, classes. */
import { computed, signal } from "@preact/signals";
import type { DefectClass, Me, Role } from "./api/types";

/** undefined: not known yet; null: nobody */
export const me = signal<Me | null | undefined>(undefined);

const RANK: Record<Role, number> = { viewer: 0, operator: 1, engineer: 2, admin: 3 };

/** Whether whoever is logged in has a role or one above it. */
export const may = (role: Role) => (me.value ? RANK[me.value.role] >= RANK[role] : false);

export const classes = signal<readonly DefectClass[]>([]);
export const activeClasses = computed(() => classes.value.filter((each) => !each.retired_at));

const COLOURS = ["#ffb454", "#5ec8f2", "#ff7ab8", "#8fe388", "#c9a6ff", "#f5e663", "#ff8f6b", "#74e0c9"];

/** Colour of a class: its own, else one that its name gives. */
export function colourOf(name: string): string {
  const known = classes.value.find((each) => each.name === name);
  if (known) return known.colour;
  const sum = [...name].reduce((total, letter) => total + letter.codePointAt(0)!, 0);
  return COLOURS[sum % COLOURS.length]!;
}

export type Toast = { text: string; bad: boolean; key: number };
export const toasts = signal<readonly Toast[]>([]);
let count = 0;

/** Shows a message for a few seconds; an error stays longer. */
export function say(text: string, bad = false): void {
  const toast = { text, bad, key: count++ };
  toasts.value = [...toasts.value.slice(-3), toast];
  setTimeout(() => (toasts.value = toasts.value.filter((each) => each !== toast)), bad ? 9000 : 3500);
}

const STORED = "blemish.theme";
export const theme = signal(
  localStorage.getItem(STORED) ?? (matchMedia("(prefers-color-scheme: light)").matches ? "light" : "dark"),
);
document.documentElement.dataset.theme = theme.value;

export function switchTheme(): void {
  theme.value = theme.value === "dark" ? "light" : "dark";
  document.documentElement.dataset.theme = theme.value;
  localStorage.setItem(STORED, theme.value);
}

export const offline = signal(false);
export const helpOpen = signal(false);
