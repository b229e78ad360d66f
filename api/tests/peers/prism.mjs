// Prism as a checking proxy: what does not follow SPEC is answered 422 (a request) or 500 (an answer of UPSTREAM).
import { spawn } from "node:child_process";

const { PORT, SPEC, UPSTREAM } = process.env;
const prism = spawn(process.execPath, ["node_modules/.bin/prism", "proxy", "-h", "127.0.0.1", "-p", PORT, "--errors", SPEC, UPSTREAM]);
const tell = (chunk) => {
  process.stdout.write(chunk);
  if (String(chunk).includes("is listening")) console.log(`ready ${PORT}`);
};
prism.stdout.on("data", tell);
prism.stderr.on("data", tell);
prism.on("exit", (code) => process.exit(code ?? 1));
// Whoever started us may kill us without a word: then our parent is another.
const parent = process.ppid;
setInterval(() => process.ppid === parent || process.exit(0), 500);
process.on("exit", () => prism.kill());
for (const signal of ["SIGTERM", "SIGINT"]) process.on(signal, () => process.exit(0));
