// Builds the page into dist/: node build.mjs. The same sources give the same bytes.
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, readdirSync, renameSync, writeFileSync } from "node:fs";
import { build } from "esbuild";

const SOURCES = [
  "build.mjs",
  "package-lock.json",
  ...readdirSync("src").map((name) => `src/${name}`),
].sort();

/** The hash of names and bytes of all sources: tests/explorer/test_bundle.py computes it too. */
function hashOfSources() {
  const hash = createHash("sha256");
  for (const name of SOURCES) {
    const bytes = readFileSync(name);
    hash.update(`${name}\0${bytes.length}\0`).update(bytes);
  }
  return hash.digest("hex");
}

/** The licences of the packages whose code is in the bundle, by name. */
function licences(metafile) {
  const names = new Set();
  for (const [path, { bytesInOutput }] of Object.entries(metafile.outputs["explorer.js"].inputs)) {
    const found = path.match(/node_modules\/((?:@[^/]+\/)?[^/]+)\//);
    if (found && bytesInOutput > 0) names.add(found[1]);
  }
  const texts = [...names].sort().map((name) => {
    const folder = `node_modules/${name}`;
    const { version, license } = JSON.parse(readFileSync(`${folder}/package.json`, "utf8"));
    const file = readdirSync(folder).find((each) => /^licen[cs]e/i.test(each));
    if (!file) throw new Error(`${name} has no licence file: expected one in ${folder}`);
    const text = readFileSync(`${folder}/${file}`, "utf8").replaceAll("\r\n", "\n").trim();
    return `${name} ${version} (${license})\n\n${text}\n`;
  });
  if (!texts.length) return "explorer.js contains no code of other packages.\n";
  return `explorer.js contains code of these packages.\n\n${texts.join(`\n${"-".repeat(72)}\n\n`)}`;
}

function write(name, text) {
  writeFileSync(`dist/.${name}.tmp`, text);
  renameSync(`dist/.${name}.tmp`, `dist/${name}`);
}

const target = ["es2020"];
const script = await build({
  entryPoints: ["src/main.js"],
  bundle: true,
  format: "iife",
  minify: true,
  target,
  charset: "utf8",
  legalComments: "none",
  metafile: true,
  write: false,
  outfile: "explorer.js",
});
const style = await build({
  entryPoints: ["src/explorer.css"],
  minify: true,
  target: ["chrome105", "firefox110", "safari16"],
  charset: "utf8",
  write: false,
  outfile: "explorer.css",
});
mkdirSync("dist", { recursive: true });
write("explorer.js", `/* sources: sha256 ${hashOfSources()} */\n${script.outputFiles[0].text}`);
write("explorer.css", style.outputFiles[0].text);
write("index.html", readFileSync("src/index.html", "utf8"));
write("LICENSES.txt", licences(script.metafile));
