/** The page's address: a path and filters behind the #, so that any link can be shared and reloaded. */
import { computed, signal } from "@preact/signals";

export type Query = Record<string, string>;

const hash = signal(location.hash);
addEventListener("hashchange", () => (hash.value = location.hash));

export const path = computed(() => (hash.value.slice(1).split("?")[0] || "/live").split("/").filter(Boolean));
export const query = computed<Query>(() => Object.fromEntries(new URLSearchParams(hash.value.split("?")[1] ?? "")));

/** Address of a place; empty filters are left out. */
export function href(to: string, filters: Query = {}): string {
  const kept = Object.entries(filters).filter(([, value]) => value !== "");
  return `#${to}${kept.length > 0 ? `?${new URLSearchParams(kept)}` : ""}`;
}

export function go(to: string, filters: Query = {}): void {
  location.hash = href(to, filters);
}

/** Changes filters of the address in place, without a step in the browser's history. */
export function setQuery(changes: Query): void {
  history.replaceState(null, "", href(`/${path.value.join("/")}`, { ...query.value, ...changes }));
  hash.value = location.hash;
}
