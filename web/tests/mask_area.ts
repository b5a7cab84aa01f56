import type { Mask } from "../src/viewer/mask";

/** Number of pixels that are on. */
export const area = (mask: Mask) => mask.runs().flatMap(({ runs }) => runs.filter((_, i) => i % 2 === 1)).reduce((a, b) => a + b, 0);
