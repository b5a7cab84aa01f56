/** The frame around every page: navigation, messages, key help, and the keys that work everywhere. */
import { useEffect } from "preact/hooks";
import type { ComponentChildren } from "preact";
import { api } from "./api";
import { go, href, path } from "./router";
import { helpOpen, may, me, offline, switchTheme, toasts } from "./state";
import { KeyHelp } from "./parts/key_help";
import { T } from "./texts";
import type { Role } from "./api/types";

/** under: the page in whose place the navigation shows this one */
type Entry = { to: string; text: string; key: string; role: Role; under?: string };

const PAGES: readonly Entry[] = [
  { to: "live", text: T.nav.live, key: "l", role: "viewer" },
  { to: "review", text: T.nav.review, key: "r", role: "operator" },
  { to: "parts", text: T.nav.parts, key: "p", role: "viewer" },
  { to: "classes", text: T.nav.classes, key: "c", role: "viewer" },
  { to: "datasets", text: T.nav.datasets, key: "d", role: "engineer" },
  { to: "jobs", text: T.nav.jobs, key: "j", role: "engineer" },
  { to: "bundles", text: T.nav.bundles, key: "b", role: "viewer" },
  { to: "lines", text: T.nav.lines, key: "i", role: "admin" },
  { to: "users", text: T.nav.users, key: "u", role: "admin" },
  { to: "tokens", text: T.nav.tokens, key: "t", role: "admin", under: "users" },
  { to: "audit", text: T.nav.audit, key: "a", role: "engineer" },
];

/** Whether keys are being typed into a field, or belong to a dialog. */
export function typing(event: KeyboardEvent): boolean {
  const target = event.target as HTMLElement;
  const field = target.closest("input, textarea, select, dialog");
  return field !== null && !(field instanceof HTMLInputElement && ["checkbox", "radio", "range"].includes(field.type) && field.closest("dialog") === null);
}

export function Shell({ children }: { children: ComponentChildren }) {
  useEffect(() => {
    let awaiting = 0;
    const onKey = (event: KeyboardEvent) => {
      if (typing(event) || event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
      const page = PAGES.find((each) => each.key === event.key && may(each.role));
      if (performance.now() < awaiting && page) {
        event.preventDefault();
        event.stopImmediatePropagation();
        awaiting = 0;
        go(`/${page.to}`);
      } else if (event.key === "g") awaiting = performance.now() + 1500;
      else if (event.key === "?") helpOpen.value = true;
    };
    addEventListener("keydown", onKey, true);
    return () => removeEventListener("keydown", onKey, true);
  }, []);
  const here = PAGES.find((each) => each.to === path.value[0]);
  const logOut = async () => {
    await api.logOut().catch(() => null);
    me.value = null;
  };
  return (
    <div class="shell">
      <a class="skip" href="#main" onClick={(event) => { event.preventDefault(); document.getElementById("main")!.focus(); }}>
        {T.skip}
      </a>
      <nav aria-label={T.nav.label}>
        <span class="brand" title={T.product}>blemish</span>
        {PAGES.filter((each) => may(each.role) && !each.under).map((each) => (
          <a key={each.to} href={href(`/${each.to}`)} aria-current={each.to === (here?.under ?? here?.to) ? "page" : undefined}>
            {each.text}
          </a>
        ))}
        <span class="space" />
        <button class="quiet" title={`${T.nav.help} (?)`} aria-label={T.nav.help} onClick={() => (helpOpen.value = true)}>?</button>
        <button class="quiet" title={T.nav.theme} aria-label={T.nav.theme} onClick={switchTheme}>◐</button>
        <span class="who" title={`${me.value!.name}, ${me.value!.role}`}>{me.value!.name}</span>
        <button class="quiet" onClick={logOut}>{T.nav.logout}</button>
      </nav>
      {offline.value && <div class="offline" role="alert">{T.offline}</div>}
      <main id="main" tabIndex={-1}>{children}</main>
      <Toasts />
      {helpOpen.value && <KeyHelp />}
    </div>
  );
}

export function Toasts() {
  return (
    <div class="toasts" role="status" aria-live="polite">
      {toasts.value.map((toast) => (
        <div key={toast.key} class={`toast ${toast.bad ? "bad" : ""}`}>
          {toast.bad ? "! " : "✓ "}
          {toast.text}
        </div>
      ))}
    </div>
  );
}
