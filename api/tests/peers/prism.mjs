// Prism as a checking proxy, in this process: what does not follow SPEC is answered 422 (a request) or 500 (an answer of UPSTREAM).
import { createRequire } from "node:module";

const { PORT, SPEC, UPSTREAM } = process.env;
const write = process.stdout.write.bind(process.stdout);
process.stdout.write = (chunk, ...more) => {
  const done = write(chunk, ...more);
  if (String(chunk).includes("is listening")) write(`ready ${PORT}\n`);
  return done;
};
process.argv = [process.argv[0], "prism", "proxy", "-h", "127.0.0.1", "-p", PORT, "--errors", SPEC, UPSTREAM];
createRequire(import.meta.url)("@stoplight/prism-cli/dist/index.js");
