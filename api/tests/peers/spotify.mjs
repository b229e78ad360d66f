// A Spotify with a state: tokens that expire, a library, plays, playlists. Its API (below /v1) is as after February 2026, or with OLDER
// as an app has it that knows the older endpoints alone; it stands behind Prism, which checks each request and each answer with Spotify's
// own description. Faults are asked for at /__ctl.
import http from "node:http";

const port = Number(process.env.PORT), older = Boolean(process.env.OLDER);
const state = { token: 1, refresh: 1, refreshes: 0, saved: [], played: [], lists: { "3cEYpjA9oz9GiPac4AsH4n": [] }, faults: [], log: [] };
const now = () => new Date().toISOString().replace(/\.\d+Z/, "Z");
// Nobody plays two tracks at one time.
let last = 0;
const later = () => (last = Math.max(last + 1, Date.now()));
const track = (id) => ({
  id, uri: `spotify:track:${id}`, type: "track", name: `Track ${id}`, duration_ms: 185000, explicit: false, is_local: false,
  href: `https://api.spotify.com/v1/tracks/${id}`, external_urls: { spotify: `https://open.spotify.com/track/${id}` },
  artists: [{ id: "a".repeat(22), name: "Nina 🎹", type: "artist", uri: `spotify:artist:${"a".repeat(22)}`, href: "", external_urls: {} }],
});
const error = (status, message, reason) => [status, { error: { status, message, ...(reason && { reason }) } }];
const paged = (url, all, item) => {
  const offset = Number(url.searchParams.get("offset") ?? 0), limit = Number(url.searchParams.get("limit") ?? 20);
  const next = offset + limit < all.length ? `https://api.spotify.com/v1${url.pathname}?offset=${offset + limit}&limit=${limit}` : null;
  return [200, { href: "", limit, offset, total: all.length, previous: null, next, items: all.slice(offset, offset + limit).map(item) }];
};

const listed = (id, name, owner, collaborative) => ({ id, name, collaborative, owner: { id: owner.toLowerCase(), display_name: owner } });
// What Ann only follows, and what she may change of others.
const others = [listed("h".repeat(22), "Liked by all", "Spotify", false), listed("b".repeat(22), "Road trip", "Bob", true)];

const named = (url, name) => url.searchParams.get(name).split(",");
const has = (id) => state.saved.some((e) => e.id === id);
const save = (ids) => [200, ids.forEach((id) => state.saved.unshift({ id, at: now() }))];
const ids = (url) => named(url, "uris").map((uri) => uri.split(":")[2]);

function answer(method, url, body) {
  const path = url.pathname.replace(/^\/v1/, ""), items = path.match(/^\/playlists\/(\w+)\/(items|tracks)$/);
  if (items) {
    if ((items[2] === "tracks") !== older) return older ? error(404, "Service not found") : error(403, "Forbidden");
    const list = state.lists[items[1]];
    if (!list) return error(404, "Resource not found");
    if (method === "GET") return paged(url, list, (e) => ({ added_at: e.at, [older ? "track" : "item"]: track(e.id) }));
    const added = body.uris.map((uri) => ({ id: uri.split(":")[2], at: now() }));
    list.splice(body.position ?? list.length, 0, ...added);
    return [201, { snapshot_id: `s${list.length}` }];
  }
  const call = `${method} ${path}`;
  const isOlder = call === "PUT /me/tracks" || call === "GET /me/tracks/contains", isNewer = path.startsWith("/me/library");
  if (older ? isNewer : isOlder) return older ? error(404, "Service not found") : error(403, "Forbidden");
  switch (call) {
    case "GET /me/tracks": return paged(url, state.saved, (e) => ({ added_at: e.at, track: track(e.id) }));
    case "GET /me/player/recently-played": {
      const after = Number(url.searchParams.get("after") ?? 0);
      const items = state.played.filter((e) => Date.parse(e.at) > after).map((e) => ({ played_at: e.at, track: track(e.id) }));
      return [200, { href: "", limit: 50, items: items.slice(0, 50) }];
    }
    case "GET /me/library/contains": return [200, ids(url).map(has)];
    case "PUT /me/library": return save(ids(url));
    case "GET /me/tracks/contains": return [200, named(url, "ids").map(has)];
    case "PUT /me/tracks": return save(body.ids);
    case "GET /me": return [200, { id: "ann", display_name: "Ann", type: "user", uri: "spotify:user:ann" }];
    case "GET /me/playlists":
      return paged(url, [...Object.keys(state.lists).map((id) => listed(id, "Liked here", "Ann", false)), ...others], (list) => list);
    case "GET /me/player/devices": return [200, { devices: [{ id: "d1", name: "Kitchen", type: "Speaker", is_active: true }] }];
    default: return error(404, "Service not found");
  }
}

function control(path, body) {
  if (path === "/__ctl/save") body.ids.forEach((id) => state.saved.unshift({ id, at: now() }));
  if (path === "/__ctl/play") body.ids.forEach((id) => state.played.unshift({ id, at: new Date(later()).toISOString() }));
  if (path === "/__ctl/expire") state.token += 1;
  // {"method", "path" (a part), "status", "wait": seconds, "after": the effect is there, the answer is not}
  if (path === "/__ctl/fault") state.faults.push(body);
  return [200, { ...state, tracks: Object.fromEntries(Object.entries(state.lists).map(([id, list]) => [id, list.map((e) => e.id)])) }];
}

http.createServer((request, response) => {
  const chunks = [];
  request.on("data", (chunk) => chunks.push(chunk)).on("end", () => {
    const text = Buffer.concat(chunks).toString(), url = new URL(request.url, "http://127.0.0.1");
    const send = ([status, body], headers = {}) => {
      response.writeHead(status, { ...(body !== undefined && { "content-type": "application/json" }), ...headers });
      response.end(body === undefined ? "" : JSON.stringify(body));
    };
    if (url.pathname.startsWith("/__ctl/")) return send(control(url.pathname, text ? JSON.parse(text) : {}));
    if (url.pathname === "/token") {
      const given = new URLSearchParams(text).get("refresh_token");
      // A refresh token is good once.
      if (given !== `refresh-${state.refresh}`) return send([400, { error: "invalid_grant" }]);
      state.refresh += 1;
      state.refreshes += 1;
      return send([200, { access_token: `access-${state.token}`, token_type: "Bearer", expires_in: 3600, refresh_token: `refresh-${state.refresh}` }]);
    }
    const call = `${request.method} ${url.pathname}`;
    state.log.push(call);
    if (request.headers.authorization !== `Bearer access-${state.token}`) return send(error(401, "The access token expired"));
    const at = state.faults.findIndex((f) => f.method === request.method && url.pathname.includes(f.path));
    const [fault] = at >= 0 ? state.faults.splice(at, 1) : [];
    if (fault?.after) answer(request.method, url, text ? JSON.parse(text) : {});
    if (fault) return send(error(fault.status, "asked for", fault.reason), fault.status === 429 ? { "retry-after": fault.wait ?? "2" } : {});
    send(answer(request.method, url, text ? JSON.parse(text) : {}));
  });
}).listen(port, "127.0.0.1", () => console.log(`ready ${port}`));
