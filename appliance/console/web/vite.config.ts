// The bundle: hashed names, every file with its .gz and .br beside it, the same bytes from the same sources.
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";
import { svelte } from "@sveltejs/vite-plugin-svelte";
import { defineConfig, type Plugin } from "vite";

const OUTPUT = join(import.meta.dirname, "../static");
const SMALLEST = 512; // bytes; below, a compressed copy is not worth a file

function compressed(): Plugin {
  return {
    name: "compressed",
    apply: "build",
    writeBundle() {
      for (const entry of readdirSync(OUTPUT, { recursive: true, withFileTypes: true })) {
        if (!entry.isFile() || !/\.(html|js|css|svg|json)$/.test(entry.name)) continue;
        const path = join(entry.parentPath, entry.name);
        const bytes = readFileSync(path);
        if (bytes.length < SMALLEST) continue;
        writeFileSync(`${path}.gz`, gzipSync(bytes, { level: 9 }));
        writeFileSync(`${path}.br`, brotliCompressSync(bytes, { params: { [constants.BROTLI_PARAM_QUALITY]: 11 } }));
      }
    },
  };
}

export default defineConfig({
  plugins: [svelte(), compressed()],
  build: {
    outDir: OUTPUT,
    emptyOutDir: true,
    target: ["chrome125", "edge125", "firefox125", "safari18"],
    modulePreload: { polyfill: false },
    assetsInlineLimit: 0, // no data: addresses, the content security policy has no place for them
    sourcemap: false,
    reportCompressedSize: false,
    rolldownOptions: {
      output: {
        // Few files: over a long line each one costs more by its way than by its bytes.
        codeSplitting: {
          groups: [
            {
              name: "page",
              test: /(src\/(api|frame|parts)|node_modules\/svelte)\/|src\/words\/.*(?<!es)\.ts/,
            },
            { name: "workshop", test: /src\/workshop\// },
          ],
        },
      },
    },
  },
});
