/** All keys of the page, in a dialog. */
import { helpOpen } from "../state";
import { T } from "../texts";
import { Dialog } from "./basics";

const K = T.keys;
const GROUPS: readonly [string, readonly (readonly [string, string])[]][] = [
  [K.everywhere, [["?", K.help], [K.go, K.goHelp]]],
  [K.review, [["O", K.ok], ["N", K.ng], ["→", K.next], ["U", K.undo], ["1  …  9", K.classNumber]]],
  [K.view, [["Shift  ←  ↑  ↓  →", K.pan], ["+  −", K.zoom], ["F  X", K.fit], ["H", K.machine], ["[  ]", K.nextDefect], ["J  K", K.neighbour]]],
  [
    K.draw,
    [
      ["V  S  B  T  P  D  E  I", K.tools],
      ["Ctrl+Z  Ctrl+Y", K.drawUndo],
      ["Delete", K.remove],
      [",  .", K.brush],
      ["←  ↑  ↓  →  Space", K.keyboardDraw],
      ["Enter  Escape", K.finish],
      ["Ctrl+S", K.save],
    ],
  ],
  [K.list, [["↑  ↓  Enter", K.listMove]]],
];

export function KeyHelp() {
  return (
    <Dialog title={K.title} onClose={() => (helpOpen.value = false)} wide>
      <div class="keys">
        {GROUPS.map(([title, rows]) => (
          <section key={title}>
            <h3>{title}</h3>
            <dl>
              {rows.map(([keys, text]) => (
                <div key={text}>
                  <dt>{keys.split("  ").map((each) => (each === "…" ? each : <kbd key={each}>{each}</kbd>))}</dt>
                  <dd>{text}</dd>
                </div>
              ))}
            </dl>
          </section>
        ))}
      </div>
    </Dialog>
  );
}
