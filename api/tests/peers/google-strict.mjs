// The Google emulator of others (@emulators/core and @emulators/google 0.4.1, Apache-2.0) on 127.0.0.1. Unlike its own command it sets
// no fallback user: an unknown, expired or revoked access token gets 401.
//   PORT=4003 SEED=google-seed.json node google-strict.mjs
// ACCESS_TTL_S (optional): access tokens die after that many seconds, and the answer's expires_in says so. In front of the emulator:
//   POST /__ctl/fault {"match":"/gmail/","method":"GET","status":429,"times":2,"headers":{},"body":{},"delay_ms":0,"drop":false}
//   POST /__ctl/expire            every access token dies now
//   POST /__ctl/drop-refresh      every refresh token dies now (-> invalid_grant)
//   GET  /__ctl/log               requests seen since the start
import { createServer as httpServer } from "node:http";
import { readFileSync } from "node:fs";
import { createServer } from "@emulators/core";
import { googlePlugin, seedFromConfig } from "@emulators/google";

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

const srv = httpServer(async (req, res) => {
  const chunks = [];
  for await (const c of req) chunks.push(c);
  const body = Buffer.concat(chunks);
  const path = req.url;
  if (path.startsWith("/__ctl/")) {
    if (path === "/__ctl/fault") { faults.push({ times: 1, ...JSON.parse(body) }); return json(res, 200, { armed: faults.length }); }
    if (path === "/__ctl/expire") { const n = tokenMap.size; tokenMap.clear(); return json(res, 200, { expired: n }); }
    if (path === "/__ctl/drop-refresh") { store.getData("google.oauth.refreshTokens")?.clear(); return json(res, 200, {}); }
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
    if (f.status) { entry.status = f.status; return json(res, f.status, f.body ?? null, f.headers); }
  }
  const before = new Set(tokenMap.keys());
  const r = await app.fetch(new Request(baseUrl + path, {
    method: req.method, headers: req.headers,
    body: ["GET", "HEAD"].includes(req.method) ? undefined : body,
  }));
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
