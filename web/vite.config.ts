import { defineConfig } from "vitest/config";
import { licences } from "./licences.ts";

export default defineConfig({
  base: "./",
  plugins: [licences()],
  build: {
    outDir: "../src/blemish/station/static",
    emptyOutDir: true,
    target: "es2022",
    // No inline module preload script: the page's content security policy forbids inline scripts.
    modulePreload: { polyfill: false },
    assetsInlineLimit: 0,
  },
  test: { include: ["tests/**/*.test.ts"], environment: "node", testTimeout: 60000 },
});
