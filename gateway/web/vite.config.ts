import { defineConfig } from "vite";

// The gateway serves the result from its own binary: hashed names below /assets may be kept by a browser for ever, and nothing is inlined,
// because its Content-Security-Policy allows neither inline scripts and styles nor data: addresses.
export default defineConfig({
  base: "/",
  build: {
    outDir: "../internal/dashboard/dist",
    emptyOutDir: true,
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    sourcemap: false,
    target: "es2022",
  },
  esbuild: { jsx: "automatic", jsxImportSource: "preact" },
});
