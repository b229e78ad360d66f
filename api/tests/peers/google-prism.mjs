// Prism (see prism.mjs) with Google's own description of Gmail, Calendar, Drive and Sheets: the discovery documents in DISCOVERY, made
// into one Swagger file by google-discovery-to-swagger.
//   PORT=4010 DISCOVERY=target/google-discovery UPSTREAM=http://127.0.0.1:4003 node google-prism.mjs
// It is stricter than they are: an object has no fields but those they name. What they do not describe is a batch: its envelope goes
// through unread, and google-strict.mjs sends its parts through here one by one.
import { readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";

const { convert } = createRequire(import.meta.url)("google-discovery-to-swagger");
const apis = ["gmail.v1", "calendar.v3", "drive.v3", "sheets.v4"];
const text = { name: "body", in: "body", schema: { type: "string" } };
const batch = { consumes: ["multipart/mixed"], parameters: [text], produces: ["multipart/mixed"], responses: { 200: { description: "Answers" } } };
const out = { swagger: "2.0", info: { title: "Google", version: "" }, consumes: ["application/json"], produces: ["application/json"],
  paths: { "/batch/gmail/v1": { post: batch } }, definitions: {}, parameters: {}, securityDefinitions: {} };

function* methods(resource) {
  yield* Object.values(resource.methods ?? {});
  for (const inner of Object.values(resource.resources ?? {})) yield* methods(inner);
}

// What the converter leaves as texts, and what is no format of JSON Schema: `byte` is base64url at Google.
function mend(schema) {
  if (!schema || typeof schema !== "object") return;
  if (["boolean", "integer", "number"].includes(schema.type) && typeof schema.default === "string") schema.default = JSON.parse(schema.default.toLowerCase());
  if (["byte", "google-datetime"].includes(schema.format)) delete schema.format;
  Object.values(schema).forEach(mend);
}

function close(schema) {
  if (!schema || typeof schema !== "object") return;
  if (schema.type === "object" && schema.properties) schema.additionalProperties ??= false;
  Object.values(schema).forEach(close);
}

for (const api of apis) {
  const document = JSON.parse(readFileSync(join(process.env.DISCOVERY, `${api}.json`), "utf8"));
  // A mail is sent as JSON, or uploaded as it is to another path; the converter takes both for one.
  const uploads = [...methods(document)].filter((method) => method.supportsMediaUpload);
  uploads.forEach((method) => delete method.supportsMediaUpload);
  const named = (kind) => [`"#/${kind}/`, `"#/${kind}/${api}.`];
  const made = JSON.parse(JSON.stringify(convert(document)).replaceAll(...named("definitions")).replaceAll(...named("parameters")));
  mend(made);
  // Not what is within itself, as the parts of a mail are: Prism loses its fields.
  for (const [name, schema] of Object.entries(made.definitions)) if (!JSON.stringify(schema).includes(`.${name}"}`)) close(schema);
  const under = (path) => made.basePath.replace(/\/$/, "") + path;
  for (const [path, operations] of Object.entries(made.paths)) out.paths[under(path)] = operations;
  for (const { path, httpMethod, mediaUpload } of uploads) {
    const method = httpMethod.toLowerCase(), { [method]: operation, parameters } = made.paths[`/${path}`];
    const others = operation.parameters.filter((parameter) => parameter.in !== "body");
    out.paths[mediaUpload.protocols.simple.path] = { parameters, [method]: { ...operation, consumes: mediaUpload.accept, parameters: [text, ...others] } };
  }
  for (const kind of ["definitions", "parameters"]) for (const [name, value] of Object.entries(made[kind])) out[kind][`${api}.${name}`] = value;
  for (const [name, { scopes, ...value }] of Object.entries(made.securityDefinitions)) {
    out.securityDefinitions[name] = { ...value, scopes: { ...out.securityDefinitions[name]?.scopes, ...scopes } };
  }
}
process.env.SPEC = join(tmpdir(), "google.json");
writeFileSync(process.env.SPEC, JSON.stringify(out));
await import("./prism.mjs");
