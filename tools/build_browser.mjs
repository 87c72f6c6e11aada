/**
 * Builds src/volens/static/*.js, and the page verify.html, from browser/*.ts (esbuild, pinned by browser/package-lock.json). The built files are
 * committed, so nobody needs Node to use Volens. `--check` says whether they match their sources, and writes nothing.
 *
 * Files that a page fetches by an immutable address carry the first 8 hex digits of their SHA-256 in that address
 * (`storage.js` is served as `storage-1a2b3c4d.js`); the guard knows the two it fetches by that name.
 */
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { brotliCompressSync, constants } from "node:zlib";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const source = join(root, "browser");
const target = join(root, "src", "volens", "static");
const require = createRequire(join(source, "package.json"));
const esbuild = require("esbuild");
const terser = require("terser");
const check = process.argv.includes("--check");
const GUARD_LIMIT = 4011; // with the notice, the band and its settings a page carries less than 8 KiB (benchmarks/peers.py)

async function bundle(name, format, define = {}) {
  const built = await esbuild.build({
    absWorkingDir: source,
    entryPoints: [`${name}.ts`],
    bundle: true,
    minify: true,
    write: false,
    format,
    target: "es2020",
    charset: "ascii",
    legalComments: "none",
    define,
    tsconfigRaw: {}, // no "use strict" of ours in front of a classic script
  });
  // What esbuild leaves is a few per cent, which the guard needs.
  return (await terser.minify(built.outputFiles[0].text, { ecma: 2020, module: format === "esm", compress: { passes: 3 }, format: { ascii_only: true } })).code + "\n";
}

/** A page that stands alone: style and script in it, and a policy that allows these two by their hash and nothing else. */
async function page(name) {
  const file = (part) => readFileSync(join(source, name, part), "utf8");
  const style = (await esbuild.transform(file("page.css"), { loader: "css", minify: true, charset: "utf8" })).code.trim();
  const built = await esbuild.build({
    absWorkingDir: source, entryPoints: [`${name}.ts`], bundle: true, minify: true, write: false, format: "iife", target: "es2022", charset: "utf8",
    legalComments: "none", tsconfigRaw: {},
  });
  const script = built.outputFiles[0].text.trim();
  if (/<\/script|<!--/i.test(script)) throw new Error(`${name}: its script holds </script or <!--; it is written into HTML as it is.`);
  const hash = (text) => `'sha256-${createHash("sha256").update(text).digest("base64")}'`;
  const policy = `default-src 'none'; script-src ${hash(script)}; style-src ${hash(style)}; connect-src 'none'; base-uri 'none'; form-action 'none'`;
  const parts = { __POLICY__: policy, __STYLE__: style, __SCRIPT__: script };
  return file("page.html").replace(/__(POLICY|STYLE|SCRIPT)__/g, (found) => parts[found]);
}

const named = (name, text) => JSON.stringify(`${name}-${createHash("sha256").update(text).digest("hex").slice(0, 8)}.js`);
const licence = () => `/*! Contains fake-indexeddb ${JSON.parse(readFileSync(join(source, "node_modules", "fake-indexeddb", "package.json"), "utf8")).version}, unmodified, Apache-2.0: see storage.LICENSE.txt */\n`;

const out = {};
out["storage.js"] = licence() + (await bundle("storage", "esm"));
out["storage.LICENSE.txt"] = readFileSync(join(source, "node_modules", "fake-indexeddb", "LICENSE"), "utf8");
out["later.js"] = await bundle("later", "esm");
const files = { __STORAGE__: named("storage", out["storage.js"]), __LATER__: named("later", out["later.js"]) };
out["guard.js"] = await bundle("page", "iife", files);
out["guard-worker.js"] = await bundle("worker", "iife", files);
for (const [name, file] of [["panel", "panel"], ["embed", "embed"], ["theirs", "theirs"]]) {
  if (existsSync(join(source, `${file}.ts`))) out[`${name}.js`] = await bundle(file, "iife");
}
out["dialog.js"] = await bundle("dialog", "esm"); // the server writes the panel in front of it
out["verify.html"] = await page("verify");
if (/<\/script|<!--/i.test(out["guard.js"])) throw new Error("guard.js: holds </script or <!--; it is written into HTML as it is.");

let failed = false;
mkdirSync(target, { recursive: true });
for (const [name, text] of Object.entries(out)) {
  const path = join(target, name);
  const same = existsSync(path) && readFileSync(path, "utf8") === text;
  if (check && !same) {
    failed = true;
    console.error(`${path}: does not match browser/. Run: npm ci --prefix browser && node tools/build_browser.mjs`);
  } else if (!check && !same) writeFileSync(path, text);
  const small = brotliCompressSync(text, { params: { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_SIZE_HINT]: text.length } }).length;
  console.log(`${name.padEnd(20)} ${String(text.length).padStart(7)} bytes ${String(small).padStart(6)} brotli`);
  if (name === "guard.js" && small > GUARD_LIMIT) {
    failed = true;
    console.error(`${name}: ${small} bytes of brotli; the guard has at most ${GUARD_LIMIT}.`);
  }
}
process.exit(failed ? 1 : 0);
