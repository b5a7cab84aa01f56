/** The two kinds of who has access: people and machines. */
import { href, path } from "../router";
import { T } from "../texts";

export function AccessTabs() {
  return (
    <div class="tabs">
      {(["users", "tokens"] as const).map((to) => (
        <a key={to} class="button" href={href(`/${to}`)} aria-current={path.value[0] === to ? "page" : undefined}>{T.nav[to]}</a>
      ))}
    </div>
  );
}
