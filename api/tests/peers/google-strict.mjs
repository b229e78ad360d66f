// The Google emulator of others (@emulators/core and @emulators/google 0.4.1, Apache-2.0) on 127.0.0.1. Unlike its own command it sets
// no fallback user: an unknown, expired or revoked access token gets 401.
//   PORT=4003 SEED=google-seed.json node google-strict.mjs
// ACCESS_TTL_S (optional): access tokens die after that many seconds, and the answer's expires_in says so. In front of the emulator:
//   POST /__ctl/fault {"match":"/gmail/","method":"GET","status":429,"times":2,"headers":{},"body":{},"delay_ms":0,"drop":false}
//     ("after": it is done, and the answer is lost)
//   POST /__ctl/expire            every access token dies now
//   POST /__ctl/drop-refresh      every refresh token dies now (-> invalid_grant)
//   POST /__ctl/as {"email":"ada@example.com","method":"GET","path":"/gmail/v1/users/me/messages","body":{}}
//   POST /__ctl/heal              no more faults
//   POST /__ctl/put, /__ctl/forget   see google-fake.mjs; both answer with its state
//   GET  /__ctl/log               requests seen since the start
// What the emulator has not, and is made of what it has: Gmail's profile, batches, and events whose ids the client chose. What cannot be
// made of it is in google-fake.mjs.
import { createServer as httpServer } from "node:http";
import { readFileSync } from "node:fs";
import { createServer } from "@emulators/core";
import { googlePlugin, seedFromConfig } from "@emulators/google";
import { fake, forget, put } from "./google-fake.mjs";

const port = Number(process.env.PORT);
const baseUrl = `http://127.0.0.1:${port}`;
const { app, store, tokenMap } = createServer(googlePlugin, { port, baseUrl });
if (process.env.SEED) seedFromConfig(store, baseUrl, JSON.parse(readFileSync(process.env.SEED, "utf8")).google);

const ttl = process.env.ACCESS_TTL_S ? Number(process.env.ACCESS_TTL_S) : null;
const faults = [];
const log = [];
const json = (res, code, v, h = {}) => {
  res.writeHead(code, { "content-type": "application/json", ...h });
  res.end(v === null ? "" : JSON.stringify(v));
};

const ask = (method, path, headers, body) => app.fetch(new Request(baseUrl + path, { method, headers, body }));

// Each part of a batch is a request of its own, with the bearer of the whole; by CHECKED, where that is given.
const part = (method, path, headers, body) =>
  process.env.CHECKED ? fetch(process.env.CHECKED + path, { method, headers, body }) : ask(method, path, headers, body);

async function batch(req, body) {
  const boundary = /boundary=([^;]+)/.exec(req.headers["content-type"])[1];
  const parts = body.toString().split(`--${boundary}`).slice(1, -1);
  let out = "";
  for (const text of parts) {
    const [outer, head, ...rest] = text.trim().split("\r\n\r\n");
    const [method, path] = head.split("\r\n")[0].split(" ");
    const inner = rest.join("\r\n\r\n");
    const answer = await part(method, path, { authorization: req.headers.authorization, "content-type": "application/json" },
      method === "GET" ? undefined : inner);
    const id = /Content-ID: <(.*)>/.exec(outer)[1];
    out += `--answer\r\nContent-Type: application/http\r\nContent-ID: <response-${id}>\r\n\r\nHTTP/1.1 ${answer.status} Said\r\n`;
    out += `Content-Type: application/json\r\n\r\n${await answer.text()}\r\n`;
  }
  return new Response(`${out}--answer--\r\n`, { headers: { "content-type": "multipart/mixed; boundary=answer" } });
}

const chosen = new Map();
const duplicate = { error: { code: 409, message: "The requested identifier already exists.", errors: [{ reason: "duplicate" }] } };

// Events by the ids that their client chose; null where it is about something else.
async function events(req, path, body) {
  const [, calendar, id] = /^\/calendar\/v3\/calendars\/([^/?]+)\/events(?:\/([^/?]+))?/.exec(path) ?? [];
  const given = req.method === "POST" && calendar && !id ? JSON.parse(body).id : id;
  const key = `${calendar}/${given}`;
  if (!calendar || !given || req.method === "DELETE") return null;
  if (req.method === "GET") return chosen.has(key) ? Response.json(chosen.get(key)) : Response.json({ error: { code: 404 } }, { status: 404 });
  if (chosen.has(key)) return Response.json(duplicate, { status: 409 });
  const answer = await ask(req.method, path, req.headers, body);
  if (answer.status !== 200) return answer;
  chosen.set(key, { ...(await answer.json()), id: given });
  return Response.json(chosen.get(key));
}

async function profile(req) {
  const answer = await ask("GET", "/gmail/v1/users/me/history?startHistoryId=0&maxResults=1", req.headers);
  return answer.status === 200 ? Response.json({ emailAddress: "", historyId: (await answer.json()).historyId }) : answer;
}

// For who is signed in; the emulator answers others.
function stateful(req, path, body) {
  if (!/^\/(calendar|drive|v4)\//.test(path)) return null;
  if (!tokenMap.has(req.headers.authorization?.replace("Bearer ", ""))) return Response.json({ error: { code: 401 } }, { status: 401 });
  const said = fake(req.method, new URL(path, baseUrl), body.length ? JSON.parse(body) : {});
  return said && Response.json(said[1], { status: said[0] });
}

async function answered(req, path, body) {
  if (path === "/batch/gmail/v1") return batch(req, body);
  if (path === "/gmail/v1/users/me/profile") return profile(req);
  const done = stateful(req, path, body) ?? (await events(req, path, body));
  return done ?? ask(req.method, path, req.headers, ["GET", "HEAD"].includes(req.method) ? undefined : body);
}

const srv = httpServer(async (req, res) => {
  const chunks = [];
  for await (const c of req) chunks.push(c);
  const body = Buffer.concat(chunks);
  const path = req.url;
  if (path.startsWith("/__ctl/")) {
    if (path === "/__ctl/fault") { faults.push({ times: 1, ...JSON.parse(body) }); return json(res, 200, { armed: faults.length }); }
    if (path === "/__ctl/heal") { faults.length = 0; return json(res, 200, {}); }
    if (path === "/__ctl/put") return json(res, 200, put(JSON.parse(body)));
    if (path === "/__ctl/forget") return json(res, 200, forget());
    if (path === "/__ctl/expire") { const n = tokenMap.size; tokenMap.clear(); return json(res, 200, { expired: n }); }
    if (path === "/__ctl/drop-refresh") { store.getData("google.oauth.refreshTokens")?.clear(); return json(res, 200, {}); }
    if (path === "/__ctl/as") {
      const { email, method, path, body: what } = JSON.parse(body);
      tokenMap.set("ctl", { login: email, id: 1, scopes: [] });
      const answer = await ask(method, path, { authorization: "Bearer ctl", "content-type": "application/json" }, what && JSON.stringify(what));
      tokenMap.delete("ctl");
      return json(res, answer.status, await answer.json());
    }
    if (path === "/__ctl/log") return json(res, 200, log);
    return json(res, 404, {});
  }
  const entry = { at: Date.now(), method: req.method, path };
  log.push(entry);
  const i = faults.findIndex((f) => path.includes(f.match) && (!f.method || f.method === req.method));
  if (i >= 0) {
    const f = faults[i];
    if (--f.times <= 0) faults.splice(i, 1);
    if (f.delay_ms) await new Promise((r) => setTimeout(r, f.delay_ms));
    if (f.drop) { entry.status = 0; return req.socket.destroy(); }
    if (f.after) await answered(req, path, body);
    if (f.status) { entry.status = f.status; return json(res, f.status, f.body ?? null, f.headers); }
  }
  const before = new Set(tokenMap.keys());
  const r = await answered(req, path, body);
  let out = Buffer.from(await r.arrayBuffer());
  if (ttl !== null && path === "/oauth2/token" && r.status === 200) {
    for (const t of tokenMap.keys()) if (!before.has(t)) setTimeout(() => tokenMap.delete(t), ttl * 1000).unref();
    out = Buffer.from(JSON.stringify({ ...JSON.parse(out), expires_in: ttl }));
  }
  entry.status = r.status;
  const h = Object.fromEntries(r.headers);
  delete h["content-length"];
  res.writeHead(r.status, h);
  res.end(out);
});
srv.listen(port, "127.0.0.1", () => console.log(`ready ${baseUrl}`));
